//! KEDA's `ScaledObject`: replicas by the queue, and by how full the caches are.

use super::{Objects, pod::put};
use crate::{settings::Settings, spec::Scaling, wanted::Wanted};
use serde_json::{Value, json};

pub(super) fn add(wanted: &Wanted, settings: &Settings, objects: &mut Objects) {
    let Some(scaling) = &wanted.scaling else {
        return;
    };
    let spec = json!({
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": wanted.name},
        "minReplicaCount": scaling.min_replicas,
        "maxReplicaCount": scaling.max_replicas,
        // A replica that goes takes its cache with it: not before the load has been low for a while.
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": {
            "scaleDown": {
                "stabilizationWindowSeconds": 600,
                "policies": [{"type": "Pods", "value": 1, "periodSeconds": 120}],
            },
        }}},
        "triggers": triggers(wanted, settings, scaling),
    });
    let object = wanted.object(
        ("keda.sh/v1alpha1", "ScaledObject"),
        &wanted.name,
        "engine",
        &spec,
    );
    put(objects, "scaling", object);
}

fn triggers(wanted: &Wanted, settings: &Settings, scaling: &Scaling) -> Vec<Value> {
    let of = format!(
        "{{namespace=\"{}\",pod=~\"{}-[a-z0-9]+-[a-z0-9]+\"}}",
        wanted.namespace, wanted.name
    );
    let trigger = |kind: &str, query: String, threshold: u32| {
        json!({
            "type": "prometheus",
            "metricType": kind,
            "metadata": {
                "serverAddress": settings.prometheus_address,
                "query": query,
                "threshold": threshold.to_string(),
            },
        })
    };
    // A sum, which the autoscaler divides by the replicas; an average, which it takes as it is.
    let queue = format!("sum(vllm:num_requests_waiting{of})");
    let mut triggers = vec![trigger("AverageValue", queue, scaling.queue_depth)];
    if let Some(percent) = scaling.kv_usage_percent {
        let usage = format!("100 * avg(vllm:kv_cache_usage_perc{of})");
        triggers.push(trigger("Value", usage, percent));
    }
    triggers
}
