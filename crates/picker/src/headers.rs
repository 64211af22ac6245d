//! Headers as Envoy tells them, and those that steer a picker.

use crate::proto::{HeaderMap, HeaderMutation, HeaderValue, HeaderValueOption, OVERWRITE};
use bytes::Bytes;
use std::borrow::Cow;

/// Where the request goes: `ip:port`, or several in order of preference. Also a key of `envoy.lb`.
pub const DESTINATION: &str = "x-gateway-destination-endpoint";
/// Key of `envoy.lb` by which the data plane tells which endpoint has answered.
pub const SERVED: &str = "x-gateway-destination-endpoint-served";
/// Key of `envoy.lb` with the score of each endpoint.
pub const SCORES: &str = "x-gateway-destination-endpoint-scores";
/// Why a request was dropped.
pub const DROPPED_REASON: &str = "x-llm-d-request-dropped-reason";
/// Names a request.
pub const REQUEST_ID: &str = "x-request-id";
/// Set on each response that came by here.
pub const WENT_INTO_RESPONSE: &str = "x-went-into-resp-headers";

/// Headers that steer: the current name before its older alias.
const OBJECTIVE: [&str; 2] = [
    "x-llm-d-inference-objective",
    "x-gateway-inference-objective",
];
const FAIRNESS: [&str; 2] = [
    "x-llm-d-inference-fairness-id",
    "x-gateway-inference-fairness-id",
];
const MODEL_REWRITE: [&str; 2] = ["x-llm-d-model-name-rewrite", "x-gateway-model-name-rewrite"];
/// Endpoints of which one is to be picked: for tests of conformance only.
pub const TEST_SELECTION: &str = "test-epp-endpoint-selection";

/// Headers of one message. Names are in lower case.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Headers(Vec<(String, Bytes)>);

impl Headers {
    /// From the wire; `raw_value` counts where both are there.
    pub fn read(map: Option<HeaderMap>) -> Self {
        let read = |header: HeaderValue| {
            let mut name = header.key;
            name.make_ascii_lowercase();
            let value = if header.raw_value.is_empty() {
                Bytes::from(header.value)
            } else {
                header.raw_value
            };
            (name, value)
        };
        Self(
            map.into_iter()
                .flat_map(|map| map.headers)
                .map(read)
                .collect(),
        )
    }

    /// The first value of a header, as text; bytes that are no UTF-8 are replaced.
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| String::from_utf8_lossy(value))
    }

    /// The value of the first of these headers that is there and says something.
    fn first(&self, names: &[&str]) -> Option<String> {
        let values = names.iter().filter_map(|name| self.get(name));
        let mut said = values.filter(|value| !value.trim().is_empty());
        said.next().map(Cow::into_owned)
    }
}

/// What a request's headers say of how it is to be treated.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Control {
    /// Name of the `InferenceObjective`.
    pub objective: Option<String>,
    /// Whose request it is, for fairness.
    pub fairness: Option<String>,
    /// The model that the request is for, whatever its body says.
    pub model_rewrite: Option<String>,
    /// `Prefer: if-available` (RFC 7240): only where some of the prompt is cached.
    pub if_available: bool,
    /// Endpoints that a test asks for.
    pub test_selection: Option<String>,
}

impl Control {
    /// Reads them.
    pub fn read(headers: &Headers) -> Self {
        let prefers = |value: Cow<'_, str>| {
            let mut each = value.split(',').map(|word| word.trim().split(';').next());
            each.any(|word| word.is_some_and(|word| word.eq_ignore_ascii_case("if-available")))
        };
        Self {
            objective: headers.first(&OBJECTIVE),
            fairness: headers.first(&FAIRNESS),
            model_rewrite: headers.first(&MODEL_REWRITE),
            if_available: headers.get("prefer").is_some_and(prefers),
            test_selection: headers.first(&[TEST_SELECTION]),
        }
    }
}

/// Sets these headers, whatever they were.
pub(crate) fn set<'a>(headers: impl IntoIterator<Item = (&'a str, Bytes)>) -> HeaderMutation {
    let option = |(name, value): (&str, Bytes)| HeaderValueOption {
        header: Some(HeaderValue {
            key: name.to_owned(),
            value: String::new(),
            raw_value: value,
        }),
        append_action: OVERWRITE,
    };
    HeaderMutation {
        set_headers: headers.into_iter().map(option).collect(),
        remove_headers: Vec::new(),
    }
}
