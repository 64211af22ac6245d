//! What all pods have in common.

use super::Objects;
use crate::{settings::Settings, wanted::digest};
use serde_json::{Value, json};

/// The user of onefill's own image.
const USER: u32 = 65532;
/// Time for endpoints to be taken out of every node's tables before a program stops taking
/// connections.
const PRE_STOP_S: u32 = 5;

/// Our own programs: no root, nothing to write to but mounted volumes.
pub(super) fn our_pod() -> Value {
    json!({
        "runAsNonRoot": true,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    })
}

/// Our own programs' containers.
pub(super) fn our_container() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
    })
}

/// An engine's image runs as root and writes caches; it needs no capability.
pub(super) fn engine_container() -> Value {
    json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}})
}

/// The same for pods.
pub(super) fn engine_pod() -> Value {
    json!({"seccompProfile": {"type": "RuntimeDefault"}})
}

/// Waits before SIGTERM until nobody is sent here any more.
pub(super) fn lifecycle() -> Value {
    json!({"preStop": {"sleep": {"seconds": PRE_STOP_S}}})
}

/// Asks a page over HTTP.
pub(super) fn get(path: &str, port: &str, period_s: u32, failures: u32) -> Value {
    json!({
        "httpGet": {"path": path, "port": port},
        "periodSeconds": period_s,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    })
}

/// `imagePullSecrets`, where there are any.
pub(super) fn pull_secrets(settings: &Settings, pod: &mut Value) {
    if settings.image_pull_secrets.is_empty() {
        return;
    }
    let secrets = settings.image_pull_secrets.iter();
    pod["imagePullSecrets"] = secrets.map(|name| json!({"name": name})).collect();
}

/// A name of everything that a pod is made of: it changes, and so rolls the pods, when anything does
/// that the pod's own template does not show.
pub(super) fn config_hash(parts: &[&Value]) -> String {
    let texts: Vec<String> = parts.iter().map(ToString::to_string).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    digest("", &texts)
}

/// The annotation that carries it.
pub(super) const CONFIG_HASH: &str = "inference.devopstoolkit.ai/config-hash";

/// Puts an object under its key.
pub(super) fn put(objects: &mut Objects, key: &str, object: Value) {
    objects.insert(key.to_owned(), object);
}
