//! Routing by a Gateway: an `InferencePool`, `onefill picker` as its endpoint picker, and the route.
//! The picker's flags are those of the reference picker.

use super::{
    Objects, PICKER, pod,
    pod::{our_container, our_pod, put},
    port,
};
use crate::{
    settings::Settings,
    spec::{GatewayRef, Mode},
    wanted::{Kv, Wanted},
};
use serde_json::{Value, json};

const POOLS: &str = "inference.networking.k8s.io";
const ROUTES: &str = "gateway.networking.k8s.io";

pub(super) fn add(wanted: &Wanted, settings: &Settings, objects: &mut Objects) {
    let Some(kv) = wanted.kv.as_ref().filter(|kv| kv.mode == Mode::Gateway) else {
        return;
    };
    let name = wanted.named("epp");
    put(objects, "pool", pool(wanted, &name));
    put(objects, PICKER, deployment(wanted, settings, kv, &name));
    put(objects, "picker_service", service(wanted, &name));
    let mut account = wanted.account(&name, "picker");
    account["automountServiceAccountToken"] = json!(true);
    put(objects, "picker_account", account);
    put(objects, "picker_role", role(wanted, &name));
    put(objects, "picker_binding", binding(wanted, &name));
    if kv.doors > 1 {
        put(objects, "picker_budget", wanted.budget(&name, "picker"));
    }
    if let Some(gateway) = &kv.gateway {
        put(objects, "route", route(wanted, gateway));
    }
}

/// A picker that is away stops nobody: the Gateway then chooses as it likes.
fn pool(wanted: &Wanted, picker: &str) -> Value {
    let spec = json!({
        "targetPorts": [{"number": port::ENGINE}],
        "selector": {"matchLabels": {"app": wanted.name}},
        "endpointPickerRef": {
            "name": picker,
            "port": {"number": port::PICK},
            "failureMode": "FailOpen",
        },
    });
    let kind = ("inference.networking.k8s.io/v1", "InferencePool");
    wanted.object(kind, &wanted.name, "picker", &spec)
}

fn deployment(wanted: &Wanted, settings: &Settings, kv: &Kv, name: &str) -> Value {
    let health = |service: &str| {
        json!({
            "grpc": {"port": port::PICK_HEALTH, "service": service},
            "periodSeconds": 5,
            "failureThreshold": 3,
        })
    };
    let flags = [
        ("pool-name", wanted.name.clone()),
        ("pool-namespace", wanted.namespace.clone()),
        ("pool-group", POOLS.to_owned()),
        ("grpc-port", port::PICK.to_string()),
        ("grpc-health-port", port::PICK_HEALTH.to_string()),
        ("metrics-port", port::METRICS.to_string()),
        // Metrics tell no prompt; without this flag whoever scrapes needs rights of its own.
        ("metrics-endpoint-auth", "false".to_owned()),
    ];
    let flags = flags.map(|(flag, value)| format!("--{flag}={value}"));
    let arguments: Vec<String> = std::iter::once("picker".to_owned()).chain(flags).collect();
    let container = json!({
        "name": "picker",
        "image": settings.onefill_image(),
        "command": ["onefill"],
        "args": arguments,
        "ports": [
            {"name": "grpc", "containerPort": port::PICK},
            {"name": "grpc-health", "containerPort": port::PICK_HEALTH},
            {"name": "metrics", "containerPort": port::METRICS},
        ],
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "4Gi"}},
        "securityContext": our_container(),
        "readinessProbe": health("readiness"),
        "livenessProbe": health("liveness"),
    });
    let mut pod = json!({
        "serviceAccountName": name,
        "securityContext": our_pod(),
        "terminationGracePeriodSeconds": 60,
        "containers": [container],
    });
    pod::pull_secrets(settings, &mut pod);
    let labels = json!({
        "app": name,
        "app.kubernetes.io/name": "onefill",
        "app.kubernetes.io/instance": wanted.name,
        "app.kubernetes.io/component": "picker",
    });
    let spec = json!({
        "replicas": kv.doors,
        "selector": {"matchLabels": {"app": name}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    });
    wanted.object(("apps/v1", "Deployment"), name, "picker", &spec)
}

fn service(wanted: &Wanted, name: &str) -> Value {
    let spec = json!({
        "selector": {"app": name},
        "ports": [
            {
                "name": "grpc-ext-proc",
                "port": port::PICK,
                "targetPort": "grpc",
                "appProtocol": "kubernetes.io/h2c",
            },
            {"name": "metrics", "port": port::METRICS, "targetPort": "metrics"},
        ],
    });
    wanted.object(("v1", "Service"), name, "picker", &spec)
}

/// It reads pods and the pool, in its own namespace, and changes nothing.
fn role(wanted: &Wanted, name: &str) -> Value {
    let verbs = ["get", "list", "watch"];
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": wanted.metadata(name, "picker"),
        "rules": [
            {"apiGroups": [""], "resources": ["pods"], "verbs": verbs},
            {"apiGroups": [POOLS], "resources": ["inferencepools"], "verbs": verbs},
            {
                "apiGroups": ["inference.networking.x-k8s.io", "llm-d.ai"],
                "resources": ["inferenceobjectives", "inferencemodelrewrites"],
                "verbs": verbs,
            },
        ],
    })
}

fn binding(wanted: &Wanted, name: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": wanted.metadata(name, "picker"),
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": wanted.namespace}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
    })
}

fn route(wanted: &Wanted, gateway: &GatewayRef) -> Value {
    let namespace = gateway.namespace.as_ref().unwrap_or(&wanted.namespace);
    let mut spec = json!({
        "parentRefs": [{
            "group": ROUTES,
            "kind": "Gateway",
            "name": gateway.name,
            "namespace": namespace,
        }],
        "rules": [{
            "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
            "backendRefs": [{"group": POOLS, "kind": "InferencePool", "name": wanted.name}],
            // Long answers are streamed for minutes; the engine's own limits end them.
            "timeouts": {"request": "0s"},
        }],
    });
    if let Some(host) = &wanted.ingress_host {
        spec["hostnames"] = json!([host]);
    }
    let kind = ("gateway.networking.k8s.io/v1", "HTTPRoute");
    wanted.object(kind, &wanted.name, "picker", &spec)
}
