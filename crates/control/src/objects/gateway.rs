//! Routing by a Gateway: an `InferencePool`, `onefill picker` as its endpoint picker, and the route.
//! Any picker takes its flags but those of event ports, which older engines need.

use super::{Objects, PICKER, door::Door, pod::put, port};
use crate::{
    settings::Settings,
    spec::{Backend, GatewayRef, Mode},
    wanted::Wanted,
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
    put(objects, "picker_service", service(wanted, &name));
    put(objects, "picker_role", role(wanted, &name));
    put(objects, "picker_binding", binding(wanted, &name));
    if let Some(gateway) = &kv.gateway {
        put(objects, "route", route(wanted, gateway));
    }
    let door = Door {
        component: PICKER,
        name: &name,
        replicas: kv.doors,
        arguments: arguments(wanted),
        ports: &[
            ("grpc", port::PICK),
            ("grpc-health", port::PICK_HEALTH),
            ("metrics", port::METRICS),
        ],
        cpu: "1",
        probes: [health("readiness"), health("liveness")],
        lifecycle: None, // it takes requests while it says that it is about to stop
        grace_s: 60,
        asks: true,
    };
    door.put(wanted, settings, objects);
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

fn health(service: &str) -> Value {
    json!({
        "grpc": {"port": port::PICK_HEALTH, "service": service},
        "periodSeconds": 5,
        "failureThreshold": 3,
    })
}

fn arguments(wanted: &Wanted) -> Vec<String> {
    let mut arguments = vec!["picker".to_owned()];
    let mut set = |flag: &str, value: String| arguments.push(format!("--{flag}={value}"));
    set("pool-name", wanted.name.clone());
    set("pool-namespace", wanted.namespace.clone());
    set("pool-group", POOLS.to_owned());
    if wanted.backend == Backend::Operator {
        // Older engines don't tell where their events are.
        set("events-port", port::EVENTS.to_string());
        set("replay-port", port::REPLAY.to_string());
    }
    set("grpc-port", port::PICK.to_string());
    set("grpc-health-port", port::PICK_HEALTH.to_string());
    set("metrics-port", port::METRICS.to_string());
    arguments
}

/// HTTP/2 over TLS, as gateways speak it to endpoint pickers: the picker's certificate is its own.
fn service(wanted: &Wanted, name: &str) -> Value {
    let spec = json!({
        "selector": {"app": name},
        "ports": [
            {
                "name": "grpc-ext-proc",
                "port": port::PICK,
                "targetPort": "grpc",
                "appProtocol": "http2",
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
