//! The engine by vLLM's production stack: a `VLLMRuntime`. Without `kvCache` it is what the published
//! composition makes, field for field.
//!
//! What stands here only because of its operator: plain numbers as sizes (it passes `4Gi` on to
//! `LMCache`, which reads it as none), `nodeSelectorTerms` (without them it crashes once the Deployment
//! exists), an annotation with a hash of all settings (it compares neither arguments nor environment),
//! no label (they would go into an immutable selector), canonical quantities (it compares texts).

use super::{
    Objects, RUNTIME, engine,
    pod::{CONFIG_HASH, config_hash, put},
    port,
};
use crate::{
    quantity::{GIB, kubernetes, lmcache},
    settings::{OPERATOR_IMAGE, OPERATOR_REGISTRY},
    wanted::{Kv, Store, Wanted},
};
use serde_json::{Value, json};

/// Tokens of `LMCache`'s chunk: its own default, said so that all replicas agree.
const CHUNK_TOKENS: &str = "256";
/// `LMCache`'s disk tier. The operator sets `LMCACHE_LOCAL_DISK=True`, which is read as a folder named
/// True; this one stands later in the environment and wins.
const DISK_FOLDER: &str = "file:///tmp/lmcache";

pub(super) fn add(wanted: &Wanted, objects: &mut Objects) {
    let mut spec = published(wanted);
    if let Some(kv) = &wanted.kv {
        share(wanted, kv, &mut spec);
    }
    let manifest = json!({
        "apiVersion": "production-stack.vllm.ai/v1alpha1",
        "kind": "VLLMRuntime",
        "metadata": {"name": wanted.name, "namespace": wanted.namespace},
        "spec": spec,
    });
    put(objects, RUNTIME, manifest);
    if wanted
        .kv
        .as_ref()
        .is_some_and(|kv| kv.mode.policy().is_some())
    {
        put(
            objects,
            "replicas_service",
            engine::replicas_service(wanted),
        );
    }
}

/// As ever: 2 cores and 8Gi for each GPU.
fn published(wanted: &Wanted) -> Value {
    let mut config = json!({"gpuMemoryUtilization": "0.9"});
    if wanted.gpu > 1 {
        config["tensorParallelSize"] = json!(wanted.gpu);
        config["env"] = json!([{"name": "VLLM_WORKER_MULTIPROC_METHOD", "value": "spawn"}]);
    }
    json!({
        "model": {"modelURL": wanted.model, "dtype": "auto"},
        "vllmConfig": config,
        "deploymentConfig": {
            "image": {"registry": OPERATOR_REGISTRY, "name": OPERATOR_IMAGE},
            "replicas": wanted.replicas,
            "resources": {
                "cpu": (2 * i128::from(wanted.gpu)).to_string(),
                "memory": format!("{}Gi", 8 * i128::from(wanted.gpu)),
                "gpu": wanted.gpu.to_string(),
            },
        },
    })
}

fn share(wanted: &Wanted, kv: &Kv, spec: &mut Value) {
    let config = &mut spec["vllmConfig"];
    for switch in ["v1", "enablePrefixCaching", "enableChunkedPrefill"] {
        config[switch] = json!(true);
    }
    let mut env = vec![json!({"name": "PYTHONHASHSEED", "value": "0"})];
    if kv.disk_bytes > 0 {
        env.push(json!({"name": "LMCACHE_LOCAL_DISK", "value": DISK_FOLDER}));
    }
    if tiers(wanted, kv).is_some() {
        env.push(json!({"name": "LMCACHE_CHUNK_SIZE", "value": CHUNK_TOKENS}));
    }
    match config["env"].as_array_mut() {
        Some(there) => there.extend(env),
        None => config["env"] = json!(env),
    }
    let mut extra = Vec::new();
    if kv.block_tokens_said {
        extra.push(format!("--block-size={}", kv.block_tokens));
    }
    if kv.events() {
        extra.push(engine::events_flag());
    }
    if !extra.is_empty() {
        config["extraArgs"] = json!(extra);
    }
    if let Some(tiers) = tiers(wanted, kv) {
        spec["lmCacheConfig"] = tiers;
    }
    let deployment = &mut spec["deploymentConfig"];
    deployment["resources"]["memory"] = json!(kubernetes(engine::memory_bytes(wanted)));
    deployment["nodeSelectorTerms"] = json!([{"matchExpressions": [
        {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
    ]}]);
    // Another number of replicas must not restart those that are there.
    let mut settings = spec.clone();
    settings["deploymentConfig"]["replicas"] = Value::Null;
    let hash = config_hash(&[&settings]);
    spec["deploymentConfig"]["podAnnotations"] = json!({CONFIG_HASH: hash});
}

/// `LMCache`'s tiers; none where there is neither host memory nor a store.
fn tiers(wanted: &Wanted, kv: &Kv) -> Option<Value> {
    let url = match &kv.store {
        Store::None => None,
        Store::External(url) => Some(url.clone()),
        Store::Managed(managed) => {
            let host = wanted.store_host(managed);
            Some(format!("lm://{host}:{}", port::LM))
        }
    };
    if url.is_none() && kv.cpu_bytes == 0 {
        return None;
    }
    // Each rank of the engine takes so much.
    let each = |bytes: u64| lmcache(bytes / wanted.ranks());
    let mut tiers = json!({
        "enabled": true,
        "cpuOffloadingBufferSize": each(kv.cpu_bytes),
        "diskOffloadingBufferSize": each(kv.disk_bytes),
    });
    if let Some(url) = url {
        tiers["remoteUrl"] = json!(url);
        tiers["remoteSerde"] = json!("naive");
    }
    Some(tiers)
}

/// Memory of the engine's programs, without tiers.
pub(super) const fn engine_bytes(ranks: u64) -> u64 {
    8 * GIB * ranks
}
