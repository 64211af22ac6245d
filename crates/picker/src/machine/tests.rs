//! What Envoy says and is told, message by message.

mod duplex;
mod modes;
mod responses;

use super::{Act, Event, Finished, Machine, Picked, Rules, Way, Whole};
use crate::{
    proto::{
        CommonAnswer, HeaderMap, HeaderMutation, HeaderValue, HttpBody, HttpHeaders, Metadata,
        Mutation, ProcessingRequest, ProcessingResponse, ProtocolConfiguration, Request, Response,
    },
    refusal::Refusal,
};
use bytes::Bytes;
use std::collections::BTreeMap;

pub(super) const HERE: &str = "10.0.0.1:8000";

/// A machine and all it ordered.
pub(super) struct Stream {
    machine: Machine,
    config: Option<ProtocolConfiguration>,
    pub(super) metadata: Option<Metadata>,
}

pub(super) fn header(key: &str, value: &str) -> HeaderValue {
    HeaderValue {
        key: key.to_owned(),
        value: String::new(),
        raw_value: Bytes::copy_from_slice(value.as_bytes()),
    }
}

pub(super) fn headers(pairs: &[(&str, &str)], end_of_stream: bool) -> HttpHeaders {
    let headers = pairs
        .iter()
        .map(|(key, value)| header(key, value))
        .collect();
    HttpHeaders {
        headers: Some(HeaderMap { headers }),
        end_of_stream,
    }
}

pub(super) fn piece(body: &str, end_of_stream: bool) -> HttpBody {
    HttpBody {
        body: Bytes::copy_from_slice(body.as_bytes()),
        end_of_stream,
    }
}

impl Stream {
    /// With the modes that Envoy tells.
    pub(super) fn with_modes(request: i32, response: i32) -> Self {
        let config = ProtocolConfiguration {
            request_body_mode: request,
            response_body_mode: response,
        };
        Self {
            config: Some(config),
            ..Self::duplex()
        }
    }

    /// With an Envoy that says nothing of modes.
    pub(super) fn duplex() -> Self {
        Self {
            machine: Machine::new(Rules {
                body_bytes_max: 1 << 20,
                fresh_id: 0,
            }),
            config: None,
            metadata: None,
        }
    }

    pub(super) fn event(&mut self, event: Event) -> Vec<Act> {
        let mut acts = Vec::new();
        self.machine.on(event, &mut acts);
        acts
    }

    pub(super) fn say(&mut self, request: Request) -> Vec<Act> {
        let message = ProcessingRequest {
            request: Some(request),
            metadata_context: self.metadata.clone(),
            observability_mode: false,
            protocol_config: self.config,
        };
        self.event(Event::Message(message))
    }

    pub(super) fn post(&mut self) -> Vec<Act> {
        let pairs = [("hi", "mom"), ("x-request-id", "test-request-id")];
        self.say(Request::RequestHeaders(headers(&pairs, false)))
    }

    pub(super) fn decided(&mut self, picked: Picked) -> Vec<Act> {
        self.event(Event::Decided(Ok(picked)))
    }

    pub(super) fn refused(&mut self, refusal: Refusal) -> Vec<Act> {
        self.event(Event::Decided(Err(refusal)))
    }

    /// A request that is on its way to its endpoint.
    pub(super) fn on_its_way(mut self, picked: Picked) -> Self {
        self.post();
        self.say(Request::RequestBody(piece("{}", true)));
        self.decided(picked);
        self
    }
}

pub(super) fn to_here() -> Picked {
    Picked {
        destination: HERE.to_owned(),
        ..Picked::default()
    }
}

/// The only act, which orders a decision.
pub(super) fn to_decide(acts: Vec<Act>) -> Whole {
    match <[Act; 1]>::try_from(acts) {
        Ok([Act::Decide(whole)]) => *whole,
        other => panic!("a decision is to be made: {other:?}"),
    }
}

/// All answers among the acts, and the others.
pub(super) fn answers(acts: Vec<Act>) -> (Vec<ProcessingResponse>, Vec<Act>) {
    let mut said = Vec::new();
    let mut others = Vec::new();
    for act in acts {
        match act {
            Act::Send(message) => said.push(message),
            other => others.push(other),
        }
    }
    (said, others)
}

/// Headers that are set.
pub(super) fn set(mutation: Option<&HeaderMutation>) -> BTreeMap<String, String> {
    let each = mutation.map(|mutation| mutation.set_headers.as_slice());
    let text = |header: &HeaderValue| String::from_utf8_lossy(&header.raw_value).into_owned();
    let headers = each.unwrap_or_default().iter();
    let headers = headers.filter_map(|option| option.header.as_ref());
    headers
        .map(|header| (header.key.clone(), text(header)))
        .collect()
}

/// Headers that an answer sets, and its body: what it is replaced by, and whether it ends.
pub(super) fn read(answer: &CommonAnswer) -> (BTreeMap<String, String>, Option<(Bytes, bool)>) {
    let common = answer.response.clone().unwrap_or_default();
    let body = common.body_mutation.and_then(|body| body.mutation);
    let body = body.map(|mutation| match mutation {
        Mutation::Body(body) => (body, false),
        Mutation::Streamed(piece) => (piece.body, piece.end_of_stream),
    });
    (set(common.header_mutation.as_ref()), body)
}

/// The destination in an answer's metadata.
pub(super) fn told(answer: &ProcessingResponse) -> Option<String> {
    use prost_types::value::Kind;
    let lb = answer.dynamic_metadata.as_ref()?.fields.get("envoy.lb")?;
    let Some(Kind::StructValue(lb)) = &lb.kind else {
        return None;
    };
    match &lb.fields.get("x-gateway-destination-endpoint")?.kind {
        Some(Kind::StringValue(text)) => Some(text.clone()),
        _ => None,
    }
}

pub(super) fn pieces_of(answers: &[ProcessingResponse]) -> Vec<(Bytes, bool)> {
    let body = |answer: &ProcessingResponse| match &answer.response {
        Some(Response::RequestBody(answer) | Response::ResponseBody(answer)) => read(answer).1,
        other => panic!("a piece of body: {other:?}"),
    };
    answers.iter().filter_map(body).collect()
}

pub(super) fn finished(acts: &[Act]) -> Option<Finished> {
    acts.iter().find_map(|act| match act {
        Act::Done(finished) => Some(*finished),
        _ => None,
    })
}
