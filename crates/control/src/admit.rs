//! What the API server does with an object before it stores it: unknown fields, types, bounds,
//! defaults. The schema of the XRD is the only list of fields.
//!
//! Rules between fields (CEL in the XRD) are in [`crate::rules`].

use crate::{fault::Faults, rules::hint, xrd::spec_schema};
use regex::Regex;
use serde_json::{Map, Value};
use std::{collections::HashMap, sync::LazyLock};

/// Checks `value` against a structural schema, and fills in defaults. Numbers that are whole become
/// integers: protobuf's Struct knows only doubles.
pub(crate) fn admit(schema: &Value, value: &mut Value, path: &str, faults: &mut Faults) {
    if let Err(what) = shape(schema, value) {
        faults.add(path, what);
        return;
    }
    match value {
        Value::Object(fields) => object(schema, fields, path, faults),
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                admit(&schema["items"], item, &format!("{path}[{index}]"), faults);
            }
        }
        _ => {}
    }
    if let Some(what) = bounds(schema, value) {
        faults.add(path, what);
    }
}

fn object(schema: &Value, fields: &mut Map<String, Value>, path: &str, faults: &mut Faults) {
    let Some(known) = schema["properties"].as_object() else {
        return;
    };
    fields.retain(|_, value| !value.is_null());
    for name in fields.keys().filter(|name| !known.contains_key(*name)) {
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        let what = format!("unknown field; there are {}", names.join(", "));
        faults.add(format!("{path}.{name}"), what);
    }
    let required = schema["required"].as_array().into_iter().flatten();
    for name in required.filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            faults.add(format!("{path}.{name}"), "is required");
        }
    }
    for (name, inner) in known {
        if let Some(default) = inner.get("default")
            && !fields.contains_key(name)
        {
            fields.insert(name.clone(), default.clone());
        }
        if let Some(value) = fields.get_mut(name) {
            admit(inner, value, &format!("{path}.{name}"), faults);
        }
    }
}

/// Whether the value has the schema's type.
fn shape(schema: &Value, value: &mut Value) -> Result<(), String> {
    let wanted = schema["type"].as_str().unwrap_or_default();
    if wanted == "integer" && value.is_f64() {
        whole(value);
    }
    let (fits, word) = match wanted {
        "object" => (value.is_object(), "an object"),
        "array" => (value.is_array(), "a list"),
        "string" => (value.is_string(), "a text"),
        "integer" => (value.is_i64(), "a whole number"),
        "boolean" => (value.is_boolean(), "true or false"),
        _ => (true, ""),
    };
    if fits {
        return Ok(());
    }
    Err(format!("must be {word}, not {}", short(value)))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "whole numbers below 2^53 are exact both ways"
)]
fn whole(value: &mut Value) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Some(number) = value.as_f64()
        && number.fract() == 0.0
        && number.abs() < EXACT
    {
        *value = Value::from(number as i64);
    }
}

/// What is wrong with a value of the right type.
fn bounds(schema: &Value, value: &Value) -> Option<String> {
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        let words: Vec<String> = allowed.iter().map(short).collect();
        let words = words.join(", ").replace('"', "");
        return Some(format!("must be one of {words}, not {}", short(value)));
    }
    if let Some(text) = value.as_str() {
        return text_bounds(schema, text);
    }
    let number = value.as_i64()?;
    let beyond = |name: &str| schema[name].as_i64();
    match (beyond("minimum"), beyond("maximum")) {
        (Some(least), _) if number < least => {
            Some(format!("must be at least {least}, not {number}"))
        }
        (_, Some(most)) if number > most => Some(format!("must be at most {most}, not {number}")),
        _ => None,
    }
}

fn text_bounds(schema: &Value, text: &str) -> Option<String> {
    let length = text.chars().count() as u64;
    let limit = |name: &str| schema[name].as_u64();
    if limit("minLength").is_some_and(|least| length < least) {
        return Some("must not be empty".to_owned());
    }
    if let Some(most) = limit("maxLength").filter(|most| length > *most) {
        return Some(format!("must have at most {most} characters, not {length}"));
    }
    let pattern = schema["pattern"].as_str()?;
    (!matches(pattern, text)).then(|| format!("must be {}, not {text:?}", hint(pattern)))
}

/// Whether a text has the form that one of the XRD's patterns asks for.
fn matches(pattern: &str, text: &str) -> bool {
    static COMPILED: LazyLock<HashMap<String, Regex>> = LazyLock::new(|| {
        let mut found = HashMap::new();
        patterns(spec_schema(), &mut found);
        found
    });
    COMPILED
        .get(pattern)
        .is_none_or(|regex| regex.is_match(text))
}

/// All patterns of a schema, compiled.
pub(crate) fn patterns(schema: &Value, to: &mut HashMap<String, Regex>) {
    if let Some(pattern) = schema["pattern"].as_str()
        && let Ok(regex) = Regex::new(pattern)
    {
        to.insert(pattern.to_owned(), regex);
    }
    let inner = schema["properties"].as_object();
    for schema in inner.into_iter().flat_map(Map::values) {
        patterns(schema, to);
    }
}

/// A value in a message, cut where it is long.
fn short(value: &Value) -> String {
    const LENGTH_MAX: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(LENGTH_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
