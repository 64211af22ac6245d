//! What the function promises to Crossplane, call by call.

use crate::{
    answer::answer,
    json::{object, structure},
    message::{RequestMeta, Resource, Resources, RunFunctionRequest, Severity, State},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn resource(json: Value) -> Resource {
    Resource {
        resource: Some(structure(json)),
        ..Resource::default()
    }
}

fn request(spec: &Value) -> RunFunctionRequest {
    let xr = json!({
        "apiVersion": "inference.devopstoolkit.ai/v1alpha1",
        "kind": "LLMInference",
        "metadata": {"name": "m", "namespace": "a"},
        "spec": spec,
    });
    RunFunctionRequest {
        meta: Some(RequestMeta {
            tag: "tag".to_owned(),
        }),
        observed: Some(State {
            composite: Some(resource(xr)),
            ..State::default()
        }),
        ..RunFunctionRequest::default()
    }
}

fn spec() -> Value {
    json!({"model": "Qwen/Qwen2.5-1.5B-Instruct", "replicas": 3, "kvCache": {"enabled": true}})
}

#[test]
fn what_others_want_stays() {
    let mut request = request(&spec());
    let foreign = resource(json!({"kind": "Bucket", "spec": {"size": 1.5}}));
    let theirs = json!({"status": {"theirs": 1, "kvCache": {"phase": "old"}}});
    request.desired = Some(State {
        composite: Some(resource(theirs)),
        resources: BTreeMap::from([("bucket".to_owned(), foreign.clone())]),
    });
    request.context = Some(structure(json!({"a": [true, null]})));
    let answered = answer(request.clone());
    let desired = answered.desired.unwrap();
    assert_eq!(desired.resources["bucket"], foreign);
    let composite = object(desired.composite.unwrap().resource.as_ref().unwrap());
    assert_eq!(composite["status"]["theirs"], 1);
    assert_eq!(composite["status"]["kvCache"]["phase"], "Pending");
    assert_eq!(answered.context, request.context);
    assert_eq!(answered.meta.unwrap().tag, "tag");
}

#[test]
fn the_composite_gets_a_status_and_nothing_else() {
    let desired = answer(request(&spec())).desired.unwrap();
    let composite = object(desired.composite.unwrap().resource.as_ref().unwrap());
    let fields: Vec<&String> = composite.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["status"]);
    for resource in desired.resources.values() {
        assert!(object(resource.resource.as_ref().unwrap())["status"].is_null());
    }
}

#[test]
fn bad_input_is_fatal_names_the_field_and_changes_nothing() {
    for (spec, field) in [
        (json!({"model": 1}), "spec.model"),
        (json!({}), "spec.model"),
        (
            json!({"model": "m", "kvCache": {"enabled": true, "store": {"mode": "X"}}}),
            "spec.kvCache.store.mode",
        ),
    ] {
        let answered = answer(request(&spec));
        assert_eq!(answered.results.len(), 1);
        assert_eq!(answered.results[0].severity, i32::from(Severity::Fatal));
        assert!(answered.results[0].message.contains(field));
        assert!(answered.desired.unwrap().resources.is_empty());
    }
    let nothing = answer(RunFunctionRequest::default());
    assert_eq!(nothing.results[0].severity, i32::from(Severity::Fatal));
    let mut unknown = request(&spec());
    unknown.input = Some(structure(json!({"image": "x"})));
    assert!(answer(unknown).results[0].message.contains("image"));
}

#[test]
fn a_gateway_is_asked_for_and_its_absence_told() {
    let mut spec = spec();
    spec["kvCache"]["routing"] = json!({"mode": "Gateway", "gatewayRef": {"name": "eg"}});
    let mut request = request(&spec);
    let answered = answer(request.clone());
    let needs = answered.requirements.unwrap().resources;
    assert_eq!(needs["gateway"].kind, "Gateway");
    let found = Resources::default();
    request
        .required_resources
        .insert("gateway".to_owned(), found);
    let composite = answer(request).desired.unwrap().composite.unwrap();
    let status = object(composite.resource.as_ref().unwrap());
    let warnings = status["status"]["kvCache"]["warnings"].to_string();
    assert!(warnings.contains("no Gateway eg"), "{warnings}");
}

#[test]
fn numbers_come_back_as_they_were() {
    let value = json!({"whole": 131_072, "half": 0.5, "below": -3, "deep": [{"a": null}]});
    assert_eq!(object(&structure(value.clone())), value);
}
