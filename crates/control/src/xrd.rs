//! The definition of `LLMInference`, and its schema as the API server uses it.

use serde_json::Value;
use std::sync::LazyLock;

/// The XRD, as it is installed.
pub const XRD: &str = include_str!("xrd.yaml");

/// Group, version and kind that it defines.
pub(crate) const API_VERSION: &str = "inference.devopstoolkit.ai/v1alpha1";
pub(crate) const KIND: &str = "LLMInference";

static DEFINITION: LazyLock<Value> =
    LazyLock::new(|| serde_saphyr::from_str(XRD).unwrap_or(Value::Null));

/// Schema of `spec`.
pub(crate) fn spec_schema() -> &'static Value {
    &DEFINITION["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
}
