//! The XRD, the rules and the types say the same.

use crate::{
    admit::patterns,
    rules::{HINTS, RULES},
    xrd::{XRD, spec_schema},
};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

fn messages(schema: &Value, to: &mut Vec<String>) {
    let rules = schema["x-kubernetes-validations"].as_array();
    for rule in rules.into_iter().flatten() {
        assert!(rule["rule"].is_string());
        to.push(rule["message"].as_str().expect("a message").to_owned());
    }
    let inner = schema["properties"].as_object();
    for schema in inner.into_iter().flat_map(serde_json::Map::values) {
        messages(schema, to);
    }
}

#[test]
fn the_xrd_has_each_rule_in_cel_under_the_same_message() {
    let mut told = Vec::new();
    messages(spec_schema(), &mut told);
    let ours: Vec<&str> = RULES.iter().map(|rule| rule.message).collect();
    assert_eq!(told, ours);
}

#[test]
fn each_pattern_has_words() {
    let mut found = HashMap::new();
    patterns(spec_schema(), &mut found);
    let found: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    let known: BTreeSet<&str> = HINTS.iter().map(|(pattern, _)| *pattern).collect();
    assert_eq!(found, known);
}

#[test]
fn the_published_fields_are_as_they_were() {
    let fields = &spec_schema()["properties"];
    assert_eq!(fields["gpu"]["default"], 1);
    for (field, kind) in [
        ("model", "string"),
        ("gpu", "integer"),
        ("ingressHost", "string"),
        ("providerConfigName", "string"),
        ("targetNamespace", "string"),
    ] {
        assert_eq!(fields[field]["type"], kind);
        for bound in ["pattern", "minimum", "maxLength", "enum"] {
            assert!(fields[field][bound].is_null(), "{field} {bound}");
        }
    }
    assert!(XRD.contains("llminferences.inference.devopstoolkit.ai"));
}

#[test]
fn every_message_stands_in_the_documentation() {
    let page = include_str!("../../../docs/llminference.md");
    for rule in &RULES {
        assert!(page.contains(rule.message), "{}", rule.message);
    }
    for (_, hint) in HINTS {
        assert!(page.contains(hint), "{hint}");
    }
}
