//! Answers to Envoy.

use super::Picked;
use crate::{
    headers::{self, DESTINATION, REQUEST_ID},
    proto::{
        BodyMutation, CommonAnswer, CommonResponse, HttpBody, Mutation, ProcessingResponse,
        Response,
    },
    refusal::Refusal,
};
use bytes::Bytes;
use prost_types::{Struct, Value, value::Kind};

/// Largest piece of a body in one message: Envoy's own limit is 64 KiB with all that is around it.
pub(super) const PIECE_BYTES_MAX: usize = 62_000;

/// Namespace of the metadata by which Envoy's load balancers choose.
const LB: &str = "envoy.lb";

/// An answer without metadata.
pub(super) fn plain(response: Response) -> ProcessingResponse {
    ProcessingResponse {
        response: Some(response),
        dynamic_metadata: None,
    }
}

/// Envoy answers the client itself.
pub(super) fn refusal(refusal: &Refusal) -> ProcessingResponse {
    plain(Response::Immediate(refusal.response()))
}

fn common(answer: fn(CommonAnswer) -> Response, response: CommonResponse) -> ProcessingResponse {
    plain(answer(CommonAnswer {
        response: Some(response),
    }))
}

/// A piece of a body that is streamed both ways.
pub(super) fn streamed(
    answer: fn(CommonAnswer) -> Response,
    piece: HttpBody,
) -> ProcessingResponse {
    let mutation = Some(Mutation::Streamed(piece));
    let response = CommonResponse {
        body_mutation: Some(BodyMutation { mutation }),
        ..CommonResponse::default()
    };
    common(answer, response)
}

/// A body that stays as it is, or is replaced.
pub(super) fn replaced(
    answer: fn(CommonAnswer) -> Response,
    body: Option<Bytes>,
) -> ProcessingResponse {
    let body_mutation = body.map(|body| BodyMutation {
        mutation: Some(Mutation::Body(body)),
    });
    let response = CommonResponse {
        body_mutation,
        ..CommonResponse::default()
    };
    common(answer, response)
}

/// Headers that a picked request gets.
pub(super) fn request_headers<'a>(
    picked: &'a Picked,
    fresh_id: Option<&str>,
) -> Vec<(&'a str, Bytes)> {
    let mut all = vec![(DESTINATION, Bytes::from(picked.destination.clone()))];
    all.extend(fresh_id.map(|id| (REQUEST_ID, Bytes::copy_from_slice(id.as_bytes()))));
    let further = picked.headers.iter();
    all.extend(further.map(|(name, value)| (*name, Bytes::from(value.clone()))));
    all
}

/// The answer that tells where the request goes: in a header and in metadata, both the same.
pub(super) fn destination(
    answer: fn(CommonAnswer) -> Response,
    set: Vec<(&str, Bytes)>,
    body: Option<Bytes>,
    picked: &Picked,
) -> ProcessingResponse {
    let mut said = replaced(answer, body);
    if let Some(
        Response::RequestHeaders(CommonAnswer {
            response: Some(common),
        })
        | Response::RequestBody(CommonAnswer {
            response: Some(common),
        }),
    ) = &mut said.response
    {
        common.header_mutation = Some(headers::set(set));
        common.clear_route_cache = true;
    }
    said.dynamic_metadata = Some(metadata(picked));
    said
}

fn metadata(picked: &Picked) -> Struct {
    let text = Kind::StringValue(picked.destination.clone());
    let destination = (DESTINATION.to_owned(), Value { kind: Some(text) });
    let further = picked.metadata.iter();
    let further = further.map(|(name, value)| ((*name).to_owned(), value.clone()));
    let fields = std::iter::once(destination).chain(further).collect();
    let inner = Kind::StructValue(Struct { fields });
    Struct {
        fields: [(LB.to_owned(), Value { kind: Some(inner) })].into(),
    }
}

/// A body in pieces that Envoy takes; an empty one is one empty piece.
pub(super) fn pieces(body: &Bytes, ends: bool) -> impl Iterator<Item = HttpBody> + use<> {
    let body = body.clone();
    let count = body.len().div_ceil(PIECE_BYTES_MAX).max(1);
    (0..count).map(move |place| {
        let from = place * PIECE_BYTES_MAX;
        let to = (from + PIECE_BYTES_MAX).min(body.len());
        HttpBody {
            body: body.slice(from..to),
            end_of_stream: ends && place + 1 == count,
        }
    })
}
