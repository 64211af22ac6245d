//! What the `LLMInference` says of itself.

use crate::{
    compose::{GATEWAY, Input, Resource},
    objects::{ENGINE, PICKER, ROUTER, RUNTIME, STORE},
    quantity::kubernetes,
    ready::{Ready, count, running},
    spec::{Backend, Mode},
    wanted::{Kv, Managed, Store, Wanted},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A condition of the `LLMInference`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Condition {
    /// Its type: `CacheConfigured`, `KVStoreReady`, `RouterReady`.
    pub kind: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// One word for programs.
    pub reason: &'static str,
    /// Words for people.
    pub message: String,
}

/// Something that has changed, for the event log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// Whether somebody should look.
    pub warning: bool,
    /// What has changed.
    pub message: String,
}

#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) status: Option<Value>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) notes: Vec<Note>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Disabled,
    Pending,
    Ready,
    Degraded,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Disabled => "Disabled",
            Self::Pending => "Pending",
            Self::Ready => "Ready",
            Self::Degraded => "Degraded",
        }
    }
}

/// What is there of the parts that matter.
struct Parts {
    engine: Ready,
    /// `None`: there is none.
    store: Option<Ready>,
    door: Option<Ready>,
    replicas: u64,
    /// `None`: nobody tells.
    running: Option<u64>,
}

pub(crate) fn tell(
    wanted: &Wanted,
    resources: &BTreeMap<String, Resource>,
    input: &Input<'_>,
) -> Told {
    if !wanted.mentioned {
        return Told::default();
    }
    let Some(kv) = &wanted.kv else {
        let condition = Condition {
            kind: "CacheConfigured",
            holds: false,
            reason: "Disabled",
            message: "kvCache.enabled is false".to_owned(),
        };
        return Told {
            status: Some(json!({"kvCache": {"phase": Phase::Disabled.name()}})),
            conditions: vec![condition],
            notes: changed(input.composite, Phase::Disabled)
                .into_iter()
                .collect(),
        };
    };
    let parts = parts(wanted, resources, input);
    let phase = phase(&parts);
    let mut warnings = warnings(wanted, kv);
    if input.found.get(GATEWAY).is_some_and(Vec::is_empty)
        && let Some(gateway) = &kv.gateway
    {
        let namespace = gateway.namespace.as_ref().unwrap_or(&wanted.namespace);
        warnings.push(format!(
            "there is no Gateway {} in namespace {namespace}: nothing comes in",
            gateway.name
        ));
    }
    Told {
        status: Some(json!({"kvCache": status(wanted, kv, phase, &parts, &warnings)})),
        conditions: conditions(kv, &parts),
        notes: changed(input.composite, phase).into_iter().collect(),
    }
}

fn parts(wanted: &Wanted, resources: &BTreeMap<String, Resource>, input: &Input<'_>) -> Parts {
    let ready = |key: &str| resources.get(key).map(|resource| resource.ready);
    let engine = match wanted.backend {
        Backend::Operator => RUNTIME,
        Backend::Deployment => ENGINE,
    };
    let observed = input.observed.get(engine);
    // An autoscaler's number is the one that is there.
    let scaled = observed.filter(|_| wanted.scaling.is_some());
    let scaled =
        scaled.and_then(|object| count(&crate::objects::inner(object)["spec"]["replicas"]));
    Parts {
        engine: ready(engine).unwrap_or(Ready::No),
        store: ready(STORE),
        door: ready(ROUTER).or_else(|| ready(PICKER)),
        replicas: scaled.unwrap_or_else(|| u64::from(wanted.replicas_min())),
        running: observed.and_then(running),
    }
}

/// A store that is away costs time and nobody an answer: Degraded, never less.
fn phase(parts: &Parts) -> Phase {
    if parts.engine == Ready::No || parts.door == Some(Ready::No) {
        return Phase::Pending;
    }
    let few = parts
        .running
        .is_some_and(|running| running < parts.replicas);
    if parts.store == Some(Ready::No) || few {
        return Phase::Degraded;
    }
    Phase::Ready
}

fn status(wanted: &Wanted, kv: &Kv, phase: Phase, parts: &Parts, warnings: &[String]) -> Value {
    let mut status = json!({
        "phase": phase.name(),
        "routingMode": kv.mode.name(),
        "endpoint": endpoint(wanted, kv),
        "replicas": parts.replicas,
        "readyReplicas": parts.running.unwrap_or(0),
    });
    if let Some(store) = store_endpoint(wanted, kv) {
        status["storeEndpoint"] = json!(store);
    }
    if let Some(managed) = kv.managed() {
        status["storeCapacity"] = json!(capacity(managed));
    }
    if let Some(bytes) = wanted.bytes_per_token() {
        status["bytesPerToken"] = json!(bytes);
        status["cpuTokens"] = json!(kv.cpu_bytes / bytes);
        if let Some(managed) = kv.managed() {
            let whole = managed.memory_bytes.saturating_add(managed.disk_bytes);
            status["storeTokens"] = json!(whole / bytes);
        }
    }
    if !warnings.is_empty() {
        status["warnings"] = json!(warnings);
    }
    status
}

/// `64Gi memory, 500Gi disk`, or `3 x 64Gi memory`.
pub(crate) fn capacity(managed: &Managed) -> String {
    let memory = format!("{} memory", kubernetes(managed.memory_bytes));
    match (managed.replicas, managed.disk_bytes) {
        (1, 0) => memory,
        (1, disk) => format!("{memory}, {} disk", kubernetes(disk)),
        (several, _) => format!("{several} x {memory}"),
    }
}

/// Where clients go.
pub(crate) fn endpoint(wanted: &Wanted, kv: &Kv) -> String {
    let inside = |service: &str| format!("http://{}/v1", wanted.host(service));
    match (kv.mode, &wanted.ingress_host) {
        (Mode::Gateway, Some(host)) => format!("http://{host}/v1"),
        (Mode::Gateway, None) => "the Gateway's address".to_owned(),
        (Mode::None, _) => inside(&wanted.name),
        _ => inside(&wanted.named("router")),
    }
}

fn store_endpoint(wanted: &Wanted, kv: &Kv) -> Option<String> {
    match &kv.store {
        Store::None => None,
        Store::External(url) => Some(url.clone()),
        Store::Managed(managed) => {
            let scheme = match wanted.backend {
                Backend::Operator => ("lm", 65432),
                Backend::Deployment => ("onefill", 65433),
            };
            let host = wanted.store_host(managed);
            Some(format!("{}://{host}:{}", scheme.0, scheme.1))
        }
    }
}

/// What works as asked for, and yet is probably not what was meant.
pub(crate) fn warnings(wanted: &Wanted, kv: &Kv) -> Vec<String> {
    let mut warnings = Vec::new();
    let replicas = wanted.replicas_max();
    if replicas == 0 {
        warnings.push("replicas is 0: nothing serves".to_owned());
    } else if replicas == 1 && kv.store == Store::None {
        warnings.push(
            "one replica and no store: nothing is shared, and there is nothing to choose between"
                .to_owned(),
        );
    } else if replicas == 1 {
        warnings.push(
            "one replica: there is nobody to share with; the store only outlives its restarts"
                .to_owned(),
        );
    }
    if let Some(managed) = kv.managed() {
        let tiers = kv.cpu_bytes.saturating_mul(u64::from(replicas));
        let store = managed.memory_bytes.saturating_add(managed.disk_bytes);
        if store < tiers {
            warnings.push(format!(
                "the store ({}) is smaller than the replicas' CPU tiers together ({}): it holds little that they don't",
                kubernetes(store),
                kubernetes(tiers)
            ));
        }
    }
    if wanted.known.is_none() {
        warnings
            .push("the model's shape is not known here: sizes are not told in tokens".to_owned());
    }
    const CPU_TOKENS_MIN: u64 = 8192;
    if let Some(tokens) = wanted.bytes_per_token().map(|bytes| kv.cpu_bytes / bytes)
        && (1..CPU_TOKENS_MIN).contains(&tokens)
    {
        warnings.push(format!(
            "the CPU tier holds {tokens} tokens, less than one long prompt: raise offload.cpu"
        ));
    }
    warnings
}

fn conditions(kv: &Kv, parts: &Parts) -> Vec<Condition> {
    let mut conditions = vec![Condition {
        kind: "CacheConfigured",
        holds: true,
        reason: "Configured",
        message: format!("routing {}", kv.mode.name()),
    }];
    let mut add = |kind, part: Option<Ready>, what: &str| {
        if let Some(ready) = part {
            let holds = ready == Ready::Yes;
            conditions.push(Condition {
                kind,
                holds,
                reason: if holds { "Available" } else { "Waiting" },
                message: format!(
                    "the {what} {}",
                    if holds {
                        "serves"
                    } else {
                        "does not serve yet"
                    }
                ),
            });
        }
    };
    add("KVStoreReady", parts.store, "store");
    let door = if kv.mode == Mode::Gateway {
        "picker"
    } else {
        "router"
    };
    add("RouterReady", parts.door, door);
    conditions
}

/// A note where the phase is another than the status said. Nothing the first time: all is new then.
fn changed(composite: &Value, phase: Phase) -> Option<Note> {
    let before = composite["status"]["kvCache"]["phase"].as_str()?;
    (before != phase.name()).then(|| Note {
        warning: phase == Phase::Degraded,
        message: format!("kvCache was {before} and is {}", phase.name()),
    })
}
