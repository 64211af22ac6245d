//! protobuf's `Struct` and JSON, which differ in one thing: all numbers of a `Struct` are doubles.

use prost_types::{ListValue, Struct, Value, value::Kind};
use serde_json::{Map, Number, Value as Json};

/// Whole numbers below this are exact as doubles.
const EXACT: f64 = 9_007_199_254_740_992.0;

pub(crate) fn object(from: &Struct) -> Json {
    let fields = from.fields.iter();
    Json::Object(
        fields
            .map(|(name, value)| (name.clone(), json(value)))
            .collect(),
    )
}

fn json(from: &Value) -> Json {
    match &from.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(value)) => Json::Bool(*value),
        Some(Kind::NumberValue(value)) => number(*value),
        Some(Kind::StringValue(value)) => Json::String(value.clone()),
        Some(Kind::StructValue(value)) => object(value),
        Some(Kind::ListValue(value)) => Json::Array(value.values.iter().map(json).collect()),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
fn number(value: f64) -> Json {
    if value.fract() == 0.0 && value.abs() < EXACT {
        return Json::from(value as i64);
    }
    Number::from_f64(value).map_or(Json::Null, Json::Number)
}

/// The `Struct` of a JSON object; of anything else, an empty one.
pub(crate) fn structure(from: Json) -> Struct {
    match from {
        Json::Object(fields) => structure_of(fields),
        _ => Struct::default(),
    }
}

fn structure_of(fields: Map<String, Json>) -> Struct {
    let fields = fields.into_iter();
    Struct {
        fields: fields.map(|(name, json)| (name, value(json))).collect(),
    }
}

fn value(from: Json) -> Value {
    let kind = match from {
        Json::Null => Kind::NullValue(0),
        Json::Bool(value) => Kind::BoolValue(value),
        Json::Number(value) => Kind::NumberValue(value.as_f64().unwrap_or_default()),
        Json::String(value) => Kind::StringValue(value),
        Json::Array(values) => Kind::ListValue(ListValue {
            values: values.into_iter().map(value).collect(),
        }),
        Json::Object(fields) => Kind::StructValue(structure_of(fields)),
    };
    Value { kind: Some(kind) }
}
