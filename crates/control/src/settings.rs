//! What a platform decides once for all models: the function's input, `onefill render --settings`.

use crate::{fault::Faults, spec::Backend};
use serde::Deserialize;
use serde_json::Value;

/// Group, version and kind of the function's input.
const API_VERSION: &str = "onefill.fn.crossplane.io/v1alpha1";
const KIND: &str = "Settings";

/// Images, monitoring, what clusters differ in. Everything has a default.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Settings {
    images: Images,
    /// Secrets to pull images with.
    pub(crate) image_pull_secrets: Vec<String>,
    /// `RuntimeClass` of engines with GPUs (backend Deployment).
    pub(crate) runtime_class_name: Option<String>,
    /// Secret whose key `token` opens models on Hugging Face (backend Deployment).
    pub(crate) hugging_face_token_secret_name: Option<String>,
    /// Who scrapes metrics.
    pub(crate) monitoring: Monitoring,
    /// Where scaling asks for them.
    pub(crate) prometheus_address: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Images {
    /// vLLM with the Python package `onefill`.
    engine: String,
    /// The `onefill` program.
    onefill: String,
}

/// What is made for Prometheus' operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
pub(crate) enum Monitoring {
    #[default]
    None,
    PodMonitor,
}

impl Default for Images {
    fn default() -> Self {
        let tag = concat!("v", env!("CARGO_PKG_VERSION"));
        Self {
            engine: format!("ghcr.io/onefill/vllm:{tag}"),
            onefill: format!("ghcr.io/onefill/onefill:{tag}"),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            images: Images::default(),
            image_pull_secrets: Vec::new(),
            runtime_class_name: None,
            hugging_face_token_secret_name: None,
            monitoring: Monitoring::default(),
            prometheus_address: "http://kube-prom-stack-kube-prome-prometheus.monitoring.svc:9090"
                .to_owned(),
        }
    }
}

/// The operator's image, as published.
pub(crate) const OPERATOR_REGISTRY: &str = "docker.io";
pub(crate) const OPERATOR_IMAGE: &str = "lmcache/vllm-openai:v0.3.13";

impl Settings {
    /// Reads the function's input; nothing is the default.
    pub fn read(input: &Value) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let mut fields = match input {
            Value::Null => return Ok(Self::default()),
            Value::Object(fields) => fields.clone(),
            _ => {
                faults.add("input", "must be an object");
                return Err(faults);
            }
        };
        for (field, wanted) in [("apiVersion", API_VERSION), ("kind", KIND)] {
            match fields.remove(field) {
                Some(said) if said != wanted => {
                    faults.add(
                        format!("input.{field}"),
                        format!("must be {wanted}, not {said}"),
                    );
                }
                _ => {}
            }
        }
        fields.remove("metadata");
        fields.retain(|_, value| !value.is_null());
        let read = serde_json::from_value(Value::Object(fields));
        let read = read.map_err(|error| faults.add("input", error.to_string()));
        faults.none()?;
        Ok(read.unwrap_or_default())
    }

    pub(crate) fn engine_image(&self, backend: Backend) -> &str {
        match backend {
            Backend::Operator => OPERATOR_IMAGE,
            Backend::Deployment => &self.images.engine,
        }
    }

    pub(crate) fn onefill_image(&self) -> &str {
        &self.images.onefill
    }
}
