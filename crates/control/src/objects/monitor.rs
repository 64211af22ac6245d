//! One `PodMonitor` for all programs of a model.

use super::{Objects, pod::put};
use crate::{
    settings::{Monitoring, Settings},
    wanted::Wanted,
};
use serde_json::json;

pub(super) fn add(wanted: &Wanted, settings: &Settings, objects: &mut Objects) {
    if settings.monitoring == Monitoring::None || wanted.kv.is_none() {
        return;
    }
    let apps = ["kvstore", "router", "epp"].map(|suffix| wanted.named(suffix));
    let apps: Vec<&String> = std::iter::once(&wanted.name).chain(&apps).collect();
    let spec = json!({
        "selector": {"matchExpressions": [{"key": "app", "operator": "In", "values": apps}]},
        // Pods without a port of that name are left out; the router's `http` has no metrics page.
        "podMetricsEndpoints": [
            {"port": "metrics"},
            {"port": "http", "relabelings": [{
                "action": "keep",
                "sourceLabels": ["__meta_kubernetes_pod_label_app"],
                "regex": wanted.name,
            }]},
        ],
    });
    let kind = ("monitoring.coreos.com/v1", "PodMonitor");
    let object = wanted.object(kind, &wanted.name, "monitoring", &spec);
    put(objects, "monitor", object);
}
