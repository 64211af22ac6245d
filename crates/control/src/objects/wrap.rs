//! provider-kubernetes' `Object`, in which a manifest travels to another cluster.

use crate::{ready, wanted::Wanted};
use serde_json::{Value, json};

/// Whether manifests are wrapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Wrapping {
    /// Where the `LLMInference` names a `ProviderConfig`.
    #[default]
    AsWanted,
    /// Always; the `ProviderConfig` is `default` where none is named.
    Always,
    /// Never.
    Never,
}

impl Wrapping {
    /// The `ProviderConfig` to wrap for; `None` for no wrapping.
    pub(crate) fn provider(self, wanted: &Wanted) -> Option<&str> {
        let named = wanted.provider.as_deref();
        match self {
            Self::AsWanted => named,
            Self::Always => Some(named.unwrap_or("default")),
            Self::Never => None,
        }
    }
}

/// Wraps a manifest. Without `kvCache` the object is ready once it is stored, as published; else when
/// what it makes is.
pub(crate) fn wrap(wanted: &Wanted, provider: &str, manifest: &Value) -> Value {
    let published = wanted.kv.is_none() && wanted.backend == crate::spec::Backend::Operator;
    let query = ready::query(manifest).filter(|_| !published);
    let mut object = json!({
        "apiVersion": "kubernetes.m.crossplane.io/v1alpha1",
        "kind": "Object",
        "spec": {
            "forProvider": {"manifest": manifest},
            "providerConfigRef": {"kind": "ProviderConfig", "name": provider},
        },
    });
    if let Some(query) = query {
        object["spec"]["readiness"] = json!({"policy": "DeriveFromCelQuery", "celQuery": query});
    }
    object
}

/// The manifest of an observed object as it is on its cluster, whether wrapped or not.
pub(crate) fn inner(observed: &Value) -> &Value {
    match wrapped(observed) {
        true => &observed["status"]["atProvider"]["manifest"],
        false => observed,
    }
}

/// Whether this is an `Object` of provider-kubernetes.
pub(crate) fn wrapped(object: &Value) -> bool {
    let group = object["apiVersion"].as_str().unwrap_or_default();
    object["kind"] == "Object" && group.starts_with("kubernetes.")
}
