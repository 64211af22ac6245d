//! The store: `onefill store` as a `StatefulSet`, its services, volume and who may reach it. Several know
//! nothing of each other: each engine has one of them, and the engine beyond them is what they share.

use super::{
    Objects, STORE, pod,
    pod::{CONFIG_HASH, config_hash, get, our_container, our_pod, put},
    port,
};
use crate::{
    quantity::{GIB, kubernetes, onefill, to_mebibytes},
    settings::Settings,
    spec::Backend,
    wanted::{Kv, Managed, Wanted},
};
use serde_json::{Value, json};

/// Where the volume is mounted. The blocks lie in a folder within: file systems put their own beside.
const DATA: &str = "/var/lib/onefill";
const CONFIG: &str = "/etc/onefill";
const TOKEN: &str = "/run/onefill";
/// Records and keys take at most one part in this many of the memory beside it (docs/store.md).
const RECORDS_SHARE: u64 = 16;
/// The program, connections' buffers, the page cache of a disk tier.
const SPARE_BYTES: u64 = GIB;
/// File systems keep so much of a volume, one part in this many, for themselves.
const FILE_SYSTEM_SHARE: u64 = 16;
/// An engine that was silent for so long may be given another store: the longest that there is.
const AFFINITY_S: u32 = 86_400;

pub(super) fn add(wanted: &Wanted, settings: &Settings, objects: &mut Objects) {
    let Some((kv, managed)) = wanted.kv.as_ref().and_then(|kv| Some((kv, kv.managed()?))) else {
        return;
    };
    let name = wanted.named("kvstore");
    let config = kv.token_secret.as_ref().map(|_| tenants(wanted, &name));
    let set = set(wanted, settings, (kv, managed), config.as_ref());
    put(objects, STORE, set);
    put(objects, "store_service", service(wanted, &name, true));
    if managed.replicas > 1 {
        let stores = service(wanted, &wanted.named("kvstores"), false);
        put(objects, "stores_service", stores);
    }
    put(objects, "store_account", wanted.account(&name, "store"));
    put(objects, "store_budget", wanted.budget(&name, "store"));
    put(objects, "store_policy", policy(wanted, &name));
    if let Some(config) = config {
        put(objects, "store_config", config);
    }
    if managed.disk_bytes > 0 {
        put(objects, "store_claim", claim(wanted, &name, managed));
    }
}

/// The protocol that the engine's clients speak; the others stay shut.
fn door(wanted: &Wanted) -> (&'static str, u16) {
    match wanted.backend {
        Backend::Operator => ("lm", port::LM),
        Backend::Deployment => ("native", port::NATIVE),
    }
}

fn arguments(wanted: &Wanted, kv: &Kv, managed: &Managed) -> Vec<String> {
    let (door, number) = door(wanted);
    let mut arguments = vec!["store".to_owned()];
    let mut set = |flag: &str, value: String| arguments.extend([format!("--{flag}"), value]);
    for each in ["lm", "resp", "native"] {
        let open = each == door;
        let address = if open {
            format!("0.0.0.0:{number}")
        } else {
            "none".to_owned()
        };
        set(each, address);
    }
    set("admin", format!("0.0.0.0:{}", port::STORE_METRICS));
    set("memory", onefill(managed.memory_bytes));
    set("eviction", managed.policy.to_owned());
    set("namespace", managed.namespace.clone());
    set("threads", "4".to_owned());
    if managed.disk_bytes > 0 {
        let room = managed.disk_bytes - managed.disk_bytes / FILE_SYSTEM_SHARE;
        set("disk", format!("{DATA}/blocks"));
        set("disk-size", onefill(room >> 20 << 20));
    }
    if let Some(remote) = &managed.remote {
        set("remote", remote.url.clone());
    }
    if kv.token_secret.is_some() {
        set("config", format!("{CONFIG}/store.toml"));
    }
    arguments
}

fn set(
    wanted: &Wanted,
    settings: &Settings,
    (kv, managed): (&Kv, &Managed),
    config: Option<&Value>,
) -> Value {
    let name = wanted.named("kvstore");
    let (mounts, volumes) = volumes(&name, kv, managed);
    let mut container = json!({
        "name": "store",
        "image": settings.onefill_image(),
        "command": ["onefill"],
        "args": arguments(wanted, kv, managed),
        "ports": [
            {"name": door(wanted).0, "containerPort": door(wanted).1},
            {"name": "metrics", "containerPort": port::STORE_METRICS},
        ],
        "resources": resources(managed),
        "securityContext": our_container(),
        "readinessProbe": get("/ready", "metrics", 5, 3),
        "livenessProbe": get("/health", "metrics", 20, 5),
    });
    let remote = managed.remote.as_ref();
    if let Some(secret) = remote.and_then(|remote| remote.secret_name.as_ref()) {
        container["envFrom"] = json!([{"secretRef": {"name": secret}}]);
    }
    if !mounts.is_empty() {
        container["volumeMounts"] = json!(mounts);
    }
    let mut pod = json!({
        "serviceAccountName": name,
        "automountServiceAccountToken": false,
        "securityContext": our_pod(),
        // What waits to be written to disk is written before it stops.
        "terminationGracePeriodSeconds": if managed.disk_bytes > 0 { 120 } else { 30 },
        "containers": [container],
    });
    if !volumes.is_empty() {
        pod["volumes"] = json!(volumes);
    }
    pod::pull_secrets(settings, &mut pod);
    let mut metadata = json!({"labels": wanted.pod_labels(&name, "store")});
    if let Some(config) = config {
        metadata["annotations"] = json!({CONFIG_HASH: config_hash(&[config])});
    }
    let spec = json!({
        "serviceName": name,
        "replicas": managed.replicas,
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": metadata, "spec": pod},
    });
    wanted.object(("apps/v1", "StatefulSet"), &name, "store", &spec)
}

fn volumes(name: &str, kv: &Kv, managed: &Managed) -> (Vec<Value>, Vec<Value>) {
    let (mut mounts, mut volumes) = (Vec::new(), Vec::new());
    if managed.disk_bytes > 0 {
        mounts.push(json!({"name": "data", "mountPath": DATA}));
        volumes.push(json!({"name": "data", "persistentVolumeClaim": {"claimName": name}}));
    }
    if let Some(secret) = &kv.token_secret {
        mounts.push(json!({"name": "config", "mountPath": CONFIG, "readOnly": true}));
        mounts.push(json!({"name": "token", "mountPath": TOKEN, "readOnly": true}));
        volumes.push(json!({"name": "config", "configMap": {"name": name}}));
        volumes.push(json!({"name": "token", "secret": {"secretName": secret}}));
    }
    (mounts, volumes)
}

/// Memory that the container asks for, and may take.
fn resources(managed: &Managed) -> Value {
    let memory = managed.memory_bytes;
    let memory = kubernetes(to_mebibytes(memory + memory / RECORDS_SHARE + SPARE_BYTES));
    json!({
        "requests": {"cpu": "2", "memory": memory},
        "limits": {"memory": memory},
    })
}

/// Headless, its addresses are the pods' own: connections last as long as the engine does. Else each
/// client keeps one pod, for all its connections.
fn service(wanted: &Wanted, name: &str, headless: bool) -> Value {
    let (door, number) = door(wanted);
    let mut spec = json!({
        "selector": {"app": wanted.named("kvstore")},
        "ports": [
            {"name": door, "port": number, "targetPort": door},
            {"name": "metrics", "port": port::STORE_METRICS, "targetPort": "metrics"},
        ],
    });
    if headless {
        spec["clusterIP"] = json!("None");
    } else {
        spec["sessionAffinity"] = json!("ClientIP");
        let longest = json!({"clientIP": {"timeoutSeconds": AFFINITY_S}});
        spec["sessionAffinityConfig"] = longest;
    }
    wanted.object(("v1", "Service"), name, "store", &spec)
}

/// Blocks are the prompts of everybody: only this model's engines reach them.
fn policy(wanted: &Wanted, name: &str) -> Value {
    let spec = json!({
        "podSelector": {"matchLabels": {"app": name}},
        "policyTypes": ["Ingress"],
        "ingress": [
            {
                "from": [{"podSelector": {"matchLabels": {"app": wanted.name}}}],
                "ports": [{"port": door(wanted).1}],
            },
            {"ports": [{"port": port::STORE_METRICS}]},
        ],
    });
    wanted.object(
        ("networking.k8s.io/v1", "NetworkPolicy"),
        name,
        "store",
        &spec,
    )
}

/// A claim of its own: a `StatefulSet`'s template of one could never grow.
fn claim(wanted: &Wanted, name: &str, managed: &Managed) -> Value {
    let mut spec = json!({
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": kubernetes(managed.disk_bytes)}},
    });
    if let Some(class) = &managed.class {
        spec["storageClassName"] = json!(class);
    }
    wanted.object(("v1", "PersistentVolumeClaim"), name, "store", &spec)
}

/// One tenant, whose token is asked for.
fn tenants(wanted: &Wanted, name: &str) -> Value {
    let text = format!(
        "[[tenant]]\nname = \"{}\"\ntoken_file = \"{TOKEN}/token\"\n",
        wanted.name
    );
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": wanted.metadata(name, "store"),
        "data": {"store.toml": text},
    })
}
