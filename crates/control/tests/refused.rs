//! Everything in `refused.yaml` is refused, in the words that stand there; and what is close to it is
//! not.
#![expect(clippy::expect_used, reason = "helpers of tests, for tests only")]

use onefill_control::{Composed, Faults, Input, Settings, Wrapping, compose};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn run(xr: &Value) -> Result<Composed, Faults> {
    compose(&Input {
        composite: xr,
        observed: &BTreeMap::new(),
        found: &BTreeMap::new(),
        settings: &Settings::default(),
        wrapping: Wrapping::AsWanted,
    })
}

fn good() -> Value {
    json!({
        "apiVersion": "inference.devopstoolkit.ai/v1alpha1",
        "kind": "LLMInference",
        "metadata": {"name": "m", "namespace": "a"},
        "spec": {"model": "Qwen/Qwen2.5-1.5B-Instruct", "providerConfigName": "p"},
    })
}

/// Puts `over` over `to`; null takes away.
fn merge(to: &mut Value, over: &Value) {
    let Some(fields) = over.as_object() else {
        *to = over.clone();
        return;
    };
    for (name, value) in fields {
        if value.is_null() {
            to.as_object_mut().expect("an object").remove(name);
        } else {
            merge(&mut to[name], value);
        }
    }
}

#[test]
fn bad_ones_are_refused_in_words_that_name_the_field() {
    let table: Vec<Value> = serde_saphyr::from_str(include_str!("refused.yaml")).expect("a table");
    assert!(table.len() >= 30);
    let mut wrong = Vec::new();
    for row in &table {
        let mut xr = good();
        merge(&mut xr, row.get("xr").unwrap_or(&json!({})));
        merge(&mut xr["spec"], row.get("spec").unwrap_or(&json!({})));
        let says = row["says"].as_str().expect("words");
        match run(&xr) {
            Ok(_) => wrong.push(format!("{}: taken", row["name"])),
            Err(faults) if !faults.to_string().contains(says) => {
                wrong.push(format!("{}: {faults}", row["name"]));
            }
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn all_faults_are_named_at_once() {
    let mut xr = good();
    merge(
        &mut xr["spec"],
        &json!({"gpu": "two", "kvCache": {"enabled": 1, "store": {"mode": "X"}, "colour": "red"}}),
    );
    let faults = run(&xr).expect_err("bad");
    let fields: Vec<&str> = faults.0.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "spec.gpu",
            "spec.kvCache.colour",
            "spec.kvCache.enabled",
            "spec.kvCache.store.mode"
        ]
    );
}

#[test]
fn what_is_switched_off_may_be_anything_that_has_the_right_form() {
    let mut xr = good();
    merge(
        &mut xr["spec"],
        &json!({"gpu": 0, "kvCache": {"store": {"mode": "External"}, "routing": {"mode": "Gateway"}}}),
    );
    assert!(run(&xr).is_ok());
}

#[test]
fn things_that_are_no_llm_inference_are_refused_and_break_nothing() {
    for thing in [
        Value::Null,
        json!([]),
        json!("text"),
        json!({}),
        json!({"spec": []}),
        json!({"apiVersion": 1, "kind": {}, "metadata": [], "spec": {"model": {}}}),
        json!({"metadata": {"name": "m"}, "spec": {"model": "m", "kvCache": {"enabled": null}}}),
    ] {
        assert!(run(&thing).is_err(), "{thing}");
    }
}
