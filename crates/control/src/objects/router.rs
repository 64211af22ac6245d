//! The front door: `onefill router`, which finds the replicas by DNS and needs no right to ask the
//! API server anything.

use super::{
    Objects, ROUTER,
    door::Door,
    pod::{get, lifecycle, put},
    port,
};
use crate::{
    settings::Settings,
    spec::{Backend, Mode},
    wanted::{Kv, Wanted},
};
use serde_json::json;

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
    let service = wanted.object(("v1", "Service"), &name, ROUTER, &service);
    put(objects, "router_service", service);
    let door = Door {
        component: ROUTER,
        name: &name,
        replicas: kv.doors,
        arguments: arguments(wanted, kv, policy),
        ports: &[("http", port::ROUTER), ("metrics", port::METRICS)],
        cpu: THREADS,
        probes: [get("/ready", "http", 5, 2), get("/health", "http", 20, 5)],
        lifecycle: Some(lifecycle()),
        grace_s: 120, // answers that are being streamed may end
        asks: false,
    };
    door.put(wanted, settings, objects);
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
