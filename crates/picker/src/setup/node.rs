//! YAML (and so JSON) with the line of each value.

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};

/// A value and the line on which it begins.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Value {
    Null,
    Truth(bool),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Table(Vec<(String, Node)>),
}

impl Value {
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Truth(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// The only document of a text; an error with its line.
pub(super) fn parse(text: &str) -> Result<Node, (usize, String)> {
    let documents = MarkedYaml::load_from_str(text)
        .map_err(|error| (error.marker().line(), error.info().to_owned()))?;
    match <[MarkedYaml<'_>; 1]>::try_from(documents) {
        Ok([document]) => Ok(node(&document)),
        Err(others) => Err((1, format!("one document is expected, not {}", others.len()))),
    }
}

fn node(from: &MarkedYaml<'_>) -> Node {
    #[expect(clippy::cast_precision_loss, reason = "no setting comes near 2^53")]
    let value = match &from.data {
        YamlData::Value(Scalar::Boolean(truth)) => Value::Truth(*truth),
        YamlData::Value(Scalar::Integer(number)) => Value::Number(*number as f64),
        YamlData::Value(Scalar::FloatingPoint(number)) => Value::Number(number.into_inner()),
        YamlData::Value(Scalar::String(text)) => Value::Text(text.to_string()),
        YamlData::Representation(text, ..) => Value::Text(text.to_string()),
        YamlData::Sequence(each) => Value::List(each.iter().map(node).collect()),
        YamlData::Mapping(pairs) => Value::Table(
            pairs
                .iter()
                .map(|(key, value)| (name(key), node(value)))
                .collect(),
        ),
        YamlData::Tagged(_, inner) => node(inner).value,
        _ => Value::Null,
    };
    Node {
        line: from.span.start.line(),
        value,
    }
}

/// Keys that are no texts are none that is known.
fn name(key: &MarkedYaml<'_>) -> String {
    match node(key).value {
        Value::Text(text) => text,
        other => format!("({})", other.kind()),
    }
}
