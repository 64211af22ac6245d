//! The life of an `LLMInference`: made, seen, ready, changed, short of something, switched off.
#![expect(clippy::expect_used, reason = "helpers of tests, for tests only")]

use onefill_control::{Composed, Input, Ready, Settings, Wrapping, compose};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A cluster that makes what it is told to.
#[derive(Default)]
struct Cluster {
    status: Value,
    objects: BTreeMap<String, Value>,
    found: BTreeMap<String, Vec<Value>>,
}

impl Cluster {
    fn call(&self, spec: &Value) -> Composed {
        let xr = json!({
            "apiVersion": "inference.devopstoolkit.ai/v1alpha1",
            "kind": "LLMInference",
            "metadata": {"name": "m", "namespace": "a"},
            "spec": spec,
            "status": self.status,
        });
        compose(&Input {
            composite: &xr,
            observed: &self.objects,
            found: &self.found,
            settings: &Settings::default(),
            wrapping: Wrapping::AsWanted,
        })
        .expect("a good one")
    }

    /// Stores what was answered: new objects are there, nothing of them runs yet.
    fn store(&mut self, composed: &Composed) {
        self.objects
            .retain(|key, _| composed.resources.contains_key(key));
        for (key, resource) in &composed.resources {
            let known = self.objects.entry(key.clone()).or_insert_with(|| json!({}));
            let status = known["status"].clone();
            *known = resource.object.clone();
            known["status"] = status;
        }
        self.status = composed.status.clone().unwrap_or_default();
    }

    fn running(&mut self, key: &str, replicas: u64) {
        let object = self.objects.get_mut(key).expect("it is there");
        let status = json!({"availableReplicas": replicas, "readyReplicas": replicas});
        object["status"] = status;
    }
}

fn spec() -> Value {
    json!({
        "model": "Qwen/Qwen2.5-1.5B-Instruct",
        "backend": "Deployment",
        "replicas": 3,
        "kvCache": {"enabled": true},
    })
}

fn phase(composed: &Composed) -> &str {
    let status = composed.status.as_ref().expect("a status");
    status["kvCache"]["phase"].as_str().expect("a phase")
}

fn says(composed: &Composed) -> Vec<&str> {
    composed
        .notes
        .iter()
        .map(|note| note.message.as_str())
        .collect()
}

#[test]
fn a_model_is_made_becomes_ready_and_tells_only_what_changes() {
    let mut cluster = Cluster::default();
    let made = cluster.call(&spec());
    assert_eq!((phase(&made), says(&made)), ("Pending", vec![]));
    assert!(made.resources.values().all(|each| each.ready == Ready::No));
    assert_eq!(
        made,
        cluster.call(&spec()),
        "the same input, the same answer"
    );

    cluster.store(&made);
    let seen = cluster.call(&spec());
    assert_eq!((phase(&seen), says(&seen)), ("Pending", vec![]));
    let ready = |composed: &Composed, key: &str| composed.resources[key].ready;
    assert_eq!(ready(&seen, "engine_service"), Ready::Yes);
    assert_eq!(
        ready(&seen, "engine"),
        Ready::No,
        "it is stored, but serves nobody"
    );

    for (key, replicas) in [("engine", 3), ("store", 1), ("router", 1)] {
        cluster.running(key, replicas);
    }
    let serves = cluster.call(&spec());
    assert_eq!(phase(&serves), "Ready");
    assert_eq!(says(&serves), ["kvCache was Pending and is Ready"]);
    assert!(
        serves
            .resources
            .values()
            .all(|each| each.ready == Ready::Yes)
    );
    let holds: Vec<_> = serves
        .conditions
        .iter()
        .map(|each| (each.kind, each.holds))
        .collect();
    assert_eq!(
        holds,
        [
            ("CacheConfigured", true),
            ("KVStoreReady", true),
            ("RouterReady", true)
        ]
    );
    cluster.store(&serves);
    assert_eq!(says(&cluster.call(&spec())), Vec::<&str>::new());
}

fn ready_cluster() -> Cluster {
    let mut cluster = Cluster::default();
    let made = cluster.call(&spec());
    cluster.store(&made);
    for (key, replicas) in [("engine", 3), ("store", 1), ("router", 1)] {
        cluster.running(key, replicas);
    }
    let serves = cluster.call(&spec());
    cluster.store(&serves);
    cluster
}

#[test]
fn a_store_that_is_away_degrades_and_never_stops() {
    let mut cluster = ready_cluster();
    cluster.running("store", 0);
    let composed = cluster.call(&spec());
    assert_eq!(phase(&composed), "Degraded");
    assert!(composed.notes[0].warning);
    assert_eq!(composed.resources["engine"].ready, Ready::Yes);
    cluster.running("store", 1);
    cluster.running("engine", 2);
    assert_eq!(
        phase(&cluster.call(&spec())),
        "Degraded",
        "a replica is missing"
    );
    cluster.running("engine", 0);
    assert_eq!(phase(&cluster.call(&spec())), "Pending", "nobody serves");
}

#[test]
fn another_number_of_replicas_restarts_nobody_and_another_image_does() {
    let cluster = ready_cluster();
    let template =
        |spec: &Value| cluster.call(spec).resources["engine"].object["spec"]["template"].clone();
    let mut more = spec();
    more["replicas"] = json!(4);
    assert_eq!(template(&spec()), template(&more));
    let mut larger = spec();
    larger["kvCache"]["offload"] = json!({"cpu": "8Gi"});
    assert_ne!(template(&spec()), template(&larger));

    let operator = |change: Value| {
        let mut spec = spec();
        spec["backend"] = json!("VLLMRuntime");
        for (name, value) in change.as_object().expect("an object") {
            spec[name] = value.clone();
        }
        let composed = cluster.call(&spec);
        let deployment = &composed.resources["vllm_runtime"].object["spec"]["deploymentConfig"];
        deployment["podAnnotations"].clone()
    };
    assert_eq!(operator(json!({})), operator(json!({"replicas": 5})));
    let smaller = json!({"kvCache": {"enabled": true, "routing": {"blockSize": 32}}});
    assert_ne!(operator(json!({})), operator(smaller));
}

#[test]
fn switched_off_everything_of_it_goes_and_the_engine_stays() {
    let mut cluster = ready_cluster();
    let mut off = spec();
    off["kvCache"]["enabled"] = json!(false);
    let composed = cluster.call(&off);
    let keys: Vec<&str> = composed.resources.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "engine",
            "engine_account",
            "engine_budget",
            "engine_service"
        ]
    );
    assert_eq!(phase(&composed), "Disabled");
    assert_eq!(says(&composed), ["kvCache was Ready and is Disabled"]);
    cluster.store(&composed);
    assert_eq!(says(&cluster.call(&off)), Vec::<&str>::new());
}

#[test]
fn a_wrapped_object_is_ready_when_its_provider_says_so() {
    let mut cluster = Cluster::default();
    let mut spec = spec();
    spec["providerConfigName"] = json!("west");
    let made = cluster.call(&spec);
    cluster.store(&made);
    assert!(made.resources["engine"].object["spec"]["readiness"]["celQuery"].is_string());
    assert_eq!(cluster.call(&spec).resources["engine"].ready, Ready::No);
    for object in cluster.objects.values_mut() {
        let mut there = object["spec"]["forProvider"]["manifest"].clone();
        there["status"] = json!({"availableReplicas": 3.0, "readyReplicas": 1.0});
        object["status"] = json!({
            "conditions": [{"type": "Synced", "status": "True"}, {"type": "Ready", "status": "True"}],
            "atProvider": {"manifest": there},
        });
    }
    let composed = cluster.call(&spec);
    assert_eq!(phase(&composed), "Ready");
    let status = composed.status.expect("a status");
    assert_eq!(status["kvCache"]["readyReplicas"], 3);
}

#[test]
fn a_gateway_that_is_not_there_is_warned_of_once_it_was_looked_for() {
    let mut spec = spec();
    spec["kvCache"]["routing"] = json!({"mode": "Gateway", "gatewayRef": {"name": "eg"}});
    let mut cluster = Cluster::default();
    let warnings = |composed: &Composed| {
        let status = composed.status.clone().expect("a status");
        status["kvCache"]["warnings"].to_string()
    };
    let first = cluster.call(&spec);
    assert_eq!(first.needs["gateway"].name, "eg");
    assert!(!warnings(&first).contains("Gateway"));
    cluster.found.insert("gateway".to_owned(), vec![]);
    assert!(warnings(&cluster.call(&spec)).contains("there is no Gateway eg in namespace a"));
    cluster
        .found
        .insert("gateway".to_owned(), vec![json!({"kind": "Gateway"})]);
    assert!(!warnings(&cluster.call(&spec)).contains("Gateway"));
}

#[test]
fn an_autoscaler_owns_the_number_of_replicas() {
    let mut spec = spec();
    spec["scaling"] = json!({"minReplicas": 2, "maxReplicas": 6});
    let mut cluster = Cluster::default();
    let made = cluster.call(&spec);
    assert!(made.resources["engine"].object["spec"]["replicas"].is_null());
    cluster.store(&made);
    cluster.objects.get_mut("engine").expect("there")["spec"]["replicas"] = json!(5);
    for (key, replicas) in [("engine", 4), ("store", 1), ("router", 1)] {
        cluster.running(key, replicas);
    }
    let composed = cluster.call(&spec);
    let status = &composed.status.as_ref().expect("a status")["kvCache"];
    assert_eq!(
        (&status["replicas"], &status["readyReplicas"]),
        (&json!(5), &json!(4))
    );
    assert_eq!(phase(&composed), "Degraded");
}
