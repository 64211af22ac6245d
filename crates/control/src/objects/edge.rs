//! The way in from outside the cluster: an `Ingress`, as published; to the router where there is one.

use super::{Objects, pod::put, port};
use crate::{spec::Mode, wanted::Wanted};
use serde_json::json;

pub(super) fn add(wanted: &Wanted, objects: &mut Objects) {
    let Some(host) = &wanted.ingress_host else {
        return;
    };
    let mode = wanted.kv.as_ref().map(|kv| kv.mode);
    if mode == Some(Mode::Gateway) {
        return; // the route has the host
    }
    let routed = mode.and_then(Mode::policy).is_some();
    let service = if routed {
        wanted.named("router")
    } else {
        wanted.name.clone()
    };
    let backend = json!({"service": {"name": service, "port": {"number": port::HTTP}}});
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": wanted.name, "namespace": wanted.namespace},
        "spec": {"rules": [{
            "host": host,
            "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]},
        }]},
    });
    put(objects, "ingress", ingress);
}
