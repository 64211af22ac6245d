//! The engine without an operator: a `Deployment` of vLLM with onefill's tier, and its services.

use super::{
    ENGINE, Objects, pod,
    pod::{engine_container, engine_pod, get, lifecycle, put},
    port,
    runtime::engine_bytes,
};
use crate::{
    quantity::{GIB, kubernetes},
    settings::Settings,
    wanted::{Kv, Store, Wanted},
};
use serde_json::{Value, json};

/// Memory beside the engine's own and its tier: the tier's bookkeeping, connections.
const SPARE_BYTES: u64 = GIB;
/// Shared memory beside the tier, for ranks that talk to each other.
const SHM_BYTES: u64 = 2 * GIB;
/// KV cache of an engine on CPU, where there is no GPU whose memory would hold it.
const CPU_KV_GIB: u64 = 4;
/// Loading a model may take long: half an hour.
const START_FAILURES: u32 = 100;
const START_PERIOD_S: u32 = 20;

pub(super) fn add(wanted: &Wanted, settings: &Settings, objects: &mut Objects) {
    put(objects, ENGINE, deployment(wanted, settings));
    let service = json!({
        "selector": {"app": wanted.name},
        "ports": [{"name": "http", "port": port::HTTP, "targetPort": port::ENGINE}],
    });
    let service = wanted.object(("v1", "Service"), &wanted.name, "engine", &service);
    put(objects, "engine_service", service);
    put(
        objects,
        "engine_account",
        wanted.account(&wanted.name, "engine"),
    );
    if wanted.replicas_max() > 1 {
        put(
            objects,
            "engine_budget",
            wanted.budget(&wanted.name, "engine"),
        );
    }
    let Some(kv) = &wanted.kv else { return };
    if kv.mode.policy().is_some() {
        put(objects, "replicas_service", replicas_service(wanted));
    }
    if kv.events() {
        put(objects, "engine_policy", policy(wanted));
    }
}

/// The addresses of all replicas, one by one, for a router that asks DNS.
pub(super) fn replicas_service(wanted: &Wanted) -> Value {
    let spec = json!({
        "clusterIP": "None",
        "selector": {"app": wanted.name},
        "ports": [{"name": "http", "port": port::ENGINE, "targetPort": port::ENGINE}],
    });
    wanted.object(
        ("v1", "Service"),
        &wanted.named("replicas"),
        "engine",
        &spec,
    )
}

/// Everybody may ask the model; its events, which tell tokens of prompts, are for those who route.
fn policy(wanted: &Wanted) -> Value {
    let doors = [wanted.named("router"), wanted.named("epp")];
    let spec = json!({
        "podSelector": {"matchLabels": {"app": wanted.name}},
        "policyTypes": ["Ingress"],
        "ingress": [
            {"ports": [{"port": port::ENGINE}]},
            {
                "from": [{"podSelector": {"matchExpressions": [
                    {"key": "app", "operator": "In", "values": doors},
                ]}}],
                "ports": [{"port": port::EVENTS}, {"port": port::REPLAY}],
            },
        ],
    });
    let kind = ("networking.k8s.io/v1", "NetworkPolicy");
    wanted.object(kind, &wanted.name, "engine", &spec)
}

fn deployment(wanted: &Wanted, settings: &Settings) -> Value {
    let labels = wanted.pod_labels(&wanted.name, "engine");
    let mut pod = json!({
        "serviceAccountName": wanted.name,
        "automountServiceAccountToken": false,
        "securityContext": engine_pod(),
        "terminationGracePeriodSeconds": 120,
        "containers": [container(wanted, settings)],
        "volumes": [{"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": shm(wanted)}}],
    });
    if let Some(class) = settings
        .runtime_class_name
        .as_ref()
        .filter(|_| !wanted.on_cpu())
    {
        pod["runtimeClassName"] = json!(class);
    }
    pod::pull_secrets(settings, &mut pod);
    let mut spec = json!({
        "selector": {"matchLabels": {"app": wanted.name}},
        // A GPU more than the replicas have is seldom free.
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    });
    if wanted.scaling.is_none() {
        spec["replicas"] = json!(wanted.replicas);
    }
    wanted.object(("apps/v1", "Deployment"), &wanted.name, "engine", &spec)
}

fn container(wanted: &Wanted, settings: &Settings) -> Value {
    let mut ports = vec![json!({"name": "http", "containerPort": port::ENGINE})];
    if wanted.kv.as_ref().is_some_and(Kv::events) {
        ports.push(json!({"name": "kv-events", "containerPort": port::EVENTS}));
        ports.push(json!({"name": "kv-replay", "containerPort": port::REPLAY}));
    }
    json!({
        "name": "vllm",
        "image": settings.engine_image(wanted.backend),
        "command": ["vllm", "serve"],
        "args": arguments(wanted),
        "env": environment(wanted, settings),
        "ports": ports,
        "resources": resources(wanted),
        "securityContext": engine_container(),
        "lifecycle": lifecycle(),
        "startupProbe": get("/health", "http", START_PERIOD_S, START_FAILURES),
        "readinessProbe": get("/health", "http", 10, 3),
        "livenessProbe": get("/health", "http", 20, 10),
        "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}],
    })
}

fn arguments(wanted: &Wanted) -> Vec<String> {
    let mut arguments = vec![
        wanted.model.clone(),
        "--host=0.0.0.0".to_owned(),
        format!("--port={}", port::ENGINE),
        "--dtype=auto".to_owned(),
    ];
    if !wanted.on_cpu() {
        arguments.push("--gpu-memory-utilization=0.9".to_owned());
    }
    if wanted.gpu > 1 {
        arguments.push(format!("--tensor-parallel-size={}", wanted.gpu));
    }
    let Some(kv) = &wanted.kv else {
        return arguments;
    };
    arguments.push("--enable-prefix-caching".to_owned());
    // Blocks have the same name in every replica, in every version of Python.
    arguments.push("--prefix-caching-hash-algo=sha256_cbor".to_owned());
    arguments.push(format!("--block-size={}", kv.block_tokens));
    arguments.push("--enable-prompt-tokens-details".to_owned());
    if kv.events() {
        arguments.push(events_flag());
    }
    arguments.extend(transfer(wanted, kv).map(|text| format!("--kv-transfer-config={text}")));
    arguments
}

/// Events of what is kept and dropped, and old ones on demand.
pub(super) fn events_flag() -> String {
    let config = json!({
        "enable_kv_cache_events": true,
        "publisher": "zmq",
        "endpoint": format!("tcp://*:{}", port::EVENTS),
        "replay_endpoint": format!("tcp://*:{}", port::REPLAY),
        "topic": "kv-events",
    });
    format!("--kv-events-config={config}")
}

/// vLLM's own offloading, with the store as a second tier; none without a CPU tier.
fn transfer(wanted: &Wanted, kv: &Kv) -> Option<Value> {
    if kv.cpu_bytes == 0 {
        return None;
    }
    let mut extra = json!({
        "spec_name": "TieringOffloadingSpec",
        "cpu_bytes_to_use": kv.cpu_bytes,
        "self_describing_kv_events": true,
    });
    if wanted.on_cpu() {
        // vLLM offloads from GPUs only; the package brings the same for CPU.
        extra["spec_name"] = json!("CpuTieringSpec");
        extra["spec_module_path"] = json!("onefill.vllm");
    }
    if let Some(url) = store_url(wanted, kv) {
        let mut tier = json!({"type": "OnefillTier", "module_path": "onefill.vllm", "url": url});
        if let Some(seconds) = kv.ttl_s {
            tier["ttl_s"] = json!(seconds);
        }
        if let Some(generation) = &kv.generation {
            tier["generation"] = json!(generation);
        }
        if kv.token_secret.is_some() {
            tier["token_env"] = json!(TOKEN);
        }
        extra["secondary_tiers"] = json!([tier]);
    }
    Some(json!({
        "kv_connector": "OffloadingConnector",
        "kv_role": "kv_both",
        "kv_load_failure_policy": "recompute",
        "kv_connector_extra_config": extra,
    }))
}

/// The environment variable with the store's token.
const TOKEN: &str = "ONEFILL_TOKEN";

fn store_url(wanted: &Wanted, kv: &Kv) -> Option<String> {
    match &kv.store {
        Store::None => None,
        Store::External(url) => Some(url.clone()),
        Store::Managed(managed) => {
            let host = wanted.store_host(managed);
            Some(format!("onefill://{host}:{}", port::NATIVE))
        }
    }
}

fn environment(wanted: &Wanted, settings: &Settings) -> Vec<Value> {
    let mut env = Vec::new();
    let mut set = |name: &str, value: String| env.push(json!({"name": name, "value": value}));
    if wanted.gpu > 1 {
        set("VLLM_WORKER_MULTIPROC_METHOD", "spawn".to_owned());
    }
    if wanted.on_cpu() {
        set("VLLM_CPU_KVCACHE_SPACE", CPU_KV_GIB.to_string());
    }
    if wanted.kv.is_some() {
        set("PYTHONHASHSEED", "0".to_owned());
    }
    let mut secret = |name: &str, of: &Option<String>| {
        if let Some(of) = of {
            let key = json!({"secretKeyRef": {"name": of, "key": "token"}});
            env.push(json!({"name": name, "valueFrom": key}));
        }
    };
    if let Some(kv) = &wanted.kv {
        secret(TOKEN, &kv.token_secret);
    }
    secret("HF_TOKEN", &settings.hugging_face_token_secret_name);
    env
}

/// Memory of an engine, its CPU tier included: a tier beyond the request would get it killed.
pub(super) fn memory_bytes(wanted: &Wanted) -> u64 {
    let mut bytes = engine_bytes(wanted.ranks());
    if wanted.on_cpu() {
        bytes += CPU_KV_GIB * GIB;
    }
    match &wanted.kv {
        Some(kv) => bytes.saturating_add(kv.cpu_bytes + SPARE_BYTES),
        None => bytes,
    }
}

/// The CPU tier lies in shared memory.
fn shm(wanted: &Wanted) -> String {
    let tier = wanted.kv.as_ref().map_or(0, |kv| kv.cpu_bytes);
    kubernetes(tier + SHM_BYTES)
}

fn resources(wanted: &Wanted) -> Value {
    let cores = if wanted.on_cpu() {
        4
    } else {
        2 * wanted.ranks()
    };
    let mut amounts = json!({
        "cpu": cores.to_string(),
        "memory": kubernetes(memory_bytes(wanted)),
    });
    if !wanted.on_cpu() {
        amounts["nvidia.com/gpu"] = json!(wanted.gpu.to_string());
    }
    json!({"requests": amounts, "limits": amounts})
}
