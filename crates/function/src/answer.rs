//! One call: a request in, a response out. Whatever comes in, something goes out; input that is wrong
//! is a fatal result that names the field.

use crate::{
    json::{object, structure},
    message::{
        Condition, Match, Outcome, Ready, Requirements, Resource, ResponseMeta, RunFunctionRequest,
        RunFunctionResponse, Selector, Severity, State, Status,
    },
};
use onefill_control::{Composed, Faults, Input, Need, Settings, Wrapping, compose};
use prost_types::{Duration, Struct};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// Time for which Crossplane may take the answer for the same input's. The status follows what is
/// observed, and a call is cheap.
const TTL_S: i64 = 60;

/// Answers one call. What other functions want stays as it is.
pub(crate) fn answer(request: RunFunctionRequest) -> RunFunctionResponse {
    let tag = request.meta.map(|meta| meta.tag).unwrap_or_default();
    let mut response = RunFunctionResponse {
        meta: Some(ResponseMeta {
            tag,
            ttl: Some(Duration {
                seconds: TTL_S,
                nanos: 0,
            }),
        }),
        desired: Some(request.desired.unwrap_or_default()),
        context: request.context,
        ..RunFunctionResponse::default()
    };
    let observed = request.observed.unwrap_or_default();
    let input = request.input.as_ref();
    match composed(&observed, input, &request.required_resources) {
        Ok(composed) => fill(composed, &mut response),
        Err(faults) => refuse(&faults, &mut response),
    }
    response
}

fn composed(
    observed: &State,
    input: Option<&Struct>,
    found: &BTreeMap<String, crate::message::Resources>,
) -> Result<Composed, Faults> {
    let settings = Settings::read(&input.map_or(Json::Null, object))?;
    let json = |resource: &Resource| resource.resource.as_ref().map_or(Json::Null, object);
    let named = |(key, resource): (&String, &Resource)| (key.clone(), json(resource));
    let composite = observed.composite.as_ref().map_or(Json::Null, json);
    let observed = observed.resources.iter().map(named).collect();
    let found = found.iter();
    let found = found
        .map(|(key, found)| (key.clone(), found.items.iter().map(json).collect()))
        .collect();
    compose(&Input {
        composite: &composite,
        observed: &observed,
        found: &found,
        settings: &settings,
        wrapping: Wrapping::AsWanted,
    })
}

fn fill(composed: Composed, response: &mut RunFunctionResponse) {
    let desired = response.desired.get_or_insert_default();
    for (key, resource) in composed.resources {
        let ready = match resource.ready {
            onefill_control::Ready::Yes => Ready::True,
            onefill_control::Ready::No => Ready::False,
        };
        let made = Resource {
            resource: Some(structure(resource.object)),
            ready: ready.into(),
            ..Resource::default()
        };
        desired.resources.insert(key, made);
    }
    if let Some(status) = composed.status {
        tell(&status, desired.composite.get_or_insert_default());
    }
    response.results = composed.notes.into_iter().map(outcome).collect();
    response.conditions = composed.conditions.into_iter().map(condition).collect();
    let needs = composed.needs.into_iter();
    let resources: BTreeMap<_, _> = needs.map(|(key, need)| (key, selector(need))).collect();
    response.requirements = (!resources.is_empty()).then_some(Requirements { resources });
}

/// Puts our part into the status, beside what others have put there.
fn tell(status: &Json, composite: &mut Resource) {
    let known = composite
        .resource
        .as_ref()
        .map_or_else(|| json!({}), object);
    let mut known = known;
    if let Some(ours) = status.as_object() {
        for (name, value) in ours {
            known["status"][name] = value.clone();
        }
    }
    composite.resource = Some(structure(known));
}

fn outcome(note: onefill_control::Note) -> Outcome {
    let severity = if note.warning {
        Severity::Warning
    } else {
        Severity::Normal
    };
    Outcome {
        severity: severity.into(),
        message: note.message,
        ..Outcome::default()
    }
}

fn condition(condition: onefill_control::Condition) -> Condition {
    let status = if condition.holds {
        Status::True
    } else {
        Status::False
    };
    Condition {
        kind: condition.kind.to_owned(),
        status: status.into(),
        reason: condition.reason.to_owned(),
        message: Some(condition.message),
        target: None,
    }
}

fn selector(need: Need) -> Selector {
    Selector {
        api_version: need.api_version.to_owned(),
        kind: need.kind.to_owned(),
        matching: Some(Match::Name(need.name)),
        namespace: Some(need.namespace),
    }
}

/// Crossplane changes nothing then, and shows the message.
fn refuse(faults: &Faults, response: &mut RunFunctionResponse) {
    response.results.push(Outcome {
        severity: Severity::Fatal.into(),
        message: faults.to_string(),
        ..Outcome::default()
    });
}
