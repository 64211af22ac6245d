//! The front door: `onefill router`, which finds the replicas by DNS and needs no right to ask the
//! API server anything.

use super::{
    Objects, ROUTER, pod,
    pod::{get, lifecycle, our_container, our_pod, put},
    port,
};
use crate::{
    settings::Settings,
    spec::{Backend, Mode},
    wanted::{Kv, Wanted},
};
use serde_json::{Value, json};

/// Serving threads: two keep up with more requests than a fleet of this kind answers.
const THREADS: &str = "2";

pub(super) fn add(wanted: &Wanted, settings: &Settings, objects: &mut Objects) {
    let with_policy = |kv| Option::zip(Some(kv), Kv::policy(kv));
    let Some((kv, policy)) = wanted.kv.as_ref().and_then(with_policy) else {
        return;
    };
    let name = wanted.named("router");
    let service = json!({
        "selector": {"app": name},
        "ports": [{"name": "http", "port": port::HTTP, "targetPort": "http"}],
    });
    put(objects, ROUTER, deployment(wanted, settings, kv, policy));
    let service = wanted.object(("v1", "Service"), &name, "router", &service);
    put(objects, "router_service", service);
    put(objects, "router_account", wanted.account(&name, "router"));
    if kv.doors > 1 {
        put(objects, "router_budget", wanted.budget(&name, "router"));
    }
}

impl Kv {
    fn policy(&self) -> Option<&'static str> {
        self.mode.policy()
    }
}

fn arguments(wanted: &Wanted, kv: &Kv, policy: &str) -> Vec<String> {
    let replicas = wanted.host(&wanted.named("replicas"));
    let mut arguments = vec!["router".to_owned()];
    let mut set = |flag: &str, value: String| arguments.extend([format!("--{flag}"), value]);
    set("listen", format!("0.0.0.0:{}", port::ROUTER));
    set("admin", format!("0.0.0.0:{}", port::METRICS));
    set("policy", policy.to_owned());
    set("dns", format!("{replicas}:{}", port::ENGINE));
    if kv.mode == Mode::Kv && wanted.backend == Backend::Operator {
        // Older engines don't tell where their events are.
        set("dns-events-port", port::EVENTS.to_string());
        set("dns-replay-port", port::REPLAY.to_string());
    }
    set("threads", THREADS.to_owned());
    arguments
}

fn deployment(wanted: &Wanted, settings: &Settings, kv: &Kv, policy: &str) -> Value {
    let name = wanted.named("router");
    let container = json!({
        "name": "router",
        "image": settings.onefill_image(),
        "command": ["onefill"],
        "args": arguments(wanted, kv, policy),
        "ports": [
            {"name": "http", "containerPort": port::ROUTER},
            {"name": "metrics", "containerPort": port::METRICS},
        ],
        // The index takes 1 GiB at most, requests in flight the rest.
        "resources": {"requests": {"cpu": THREADS, "memory": "1Gi"}, "limits": {"memory": "4Gi"}},
        "securityContext": our_container(),
        "lifecycle": lifecycle(),
        "readinessProbe": get("/ready", "http", 5, 2),
        "livenessProbe": get("/health", "http", 20, 5),
    });
    let mut pod = json!({
        "serviceAccountName": name,
        "automountServiceAccountToken": false,
        "securityContext": our_pod(),
        // Answers that are being streamed may end.
        "terminationGracePeriodSeconds": 120,
        "containers": [container],
    });
    pod::pull_secrets(settings, &mut pod);
    let labels = json!({
        "app": name,
        "app.kubernetes.io/name": "onefill",
        "app.kubernetes.io/instance": wanted.name,
        "app.kubernetes.io/component": "router",
    });
    let spec = json!({
        "replicas": kv.doors,
        "selector": {"matchLabels": {"app": name}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    });
    wanted.object(("apps/v1", "Deployment"), &name, "router", &spec)
}
