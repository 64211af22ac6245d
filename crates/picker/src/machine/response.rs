//! The answer's way: each piece is passed on as it comes.

use super::{Act, Finished, Machine, Mode, Phase, say};
use crate::{
    headers::{Headers, SERVED, WENT_INTO_RESPONSE},
    proto::{
        CommonAnswer, CommonResponse, HttpBody, HttpHeaders, Metadata, Response, TrailersResponse,
    },
    rename::Renamer,
};
use bytes::Bytes;
use onefill_schedule::usage::Tail;
use prost_types::value::Kind;

/// The request is on its way; the answer comes, or is coming.
#[derive(Debug, Default)]
pub(super) struct Responding {
    renamer: Option<Renamer>,
    headers: Vec<(String, String)>,
    status: Option<u16>,
    /// The end of the answer, where it may tell the usage.
    tail: Option<Tail>,
    began: bool,
    bytes: u64,
}

impl Responding {
    pub(super) fn new(renamer: Option<Renamer>, headers: Vec<(String, String)>) -> Self {
        Self {
            renamer,
            headers,
            ..Self::default()
        }
    }

    fn is_good(&self) -> bool {
        self.status
            .is_none_or(|status| (200..300).contains(&status))
    }

    /// A piece as the client reads it.
    fn pass(&mut self, body: &HttpBody) -> Bytes {
        self.bytes += body.body.len() as u64;
        if let Some(tail) = &mut self.tail {
            tail.push(&body.body);
        }
        let Some(renamer) = &mut self.renamer else {
            return body.body.clone();
        };
        let piece = renamer.push(&body.body);
        if !body.end_of_stream {
            return piece;
        }
        let held = renamer.end();
        if held.is_empty() {
            piece
        } else {
            [piece, held].concat().into()
        }
    }

    fn finished(&mut self) -> Act {
        Act::Done(Finished {
            usage: self.tail.take().map(Tail::usage).unwrap_or_default(),
            bytes: self.bytes,
        })
    }
}

impl Machine {
    /// The phase of an answer, entered from wherever: Envoy may answer before a request is whole.
    fn responding(&mut self) -> Option<&mut Responding> {
        match &self.phase {
            Phase::Over => return None,
            Phase::Responding(_) => {}
            _ => self.phase = Phase::Responding(Box::default()),
        }
        match &mut self.phase {
            Phase::Responding(responding) => Some(responding),
            _ => None,
        }
    }

    pub(super) fn response_headers(
        &mut self,
        message: HttpHeaders,
        metadata: Option<&Metadata>,
        acts: &mut Vec<Act>,
    ) {
        let Some(responding) = self.responding() else {
            return;
        };
        acts.extend(served(metadata).map(Act::Served));
        let headers = Headers::read(message.headers);
        let status = headers.get(":status").or_else(|| headers.get("status"));
        responding.status = status.and_then(|status| status.parse().ok());
        acts.extend(responding.status.map(Act::Answered));
        responding.tail = tells_usage(&headers).then(Tail::default);
        let ours = responding
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), Bytes::from(value.clone())));
        let marked = (WENT_INTO_RESPONSE, Bytes::from_static(b"true"));
        let mut mutation = crate::headers::set(std::iter::once(marked).chain(ours));
        if responding.renamer.is_some() {
            mutation.remove_headers.push("content-length".to_owned());
        }
        let common = CommonResponse {
            header_mutation: Some(mutation),
            ..CommonResponse::default()
        };
        acts.push(Act::Send(say::plain(Response::ResponseHeaders(
            CommonAnswer {
                response: Some(common),
            },
        ))));
        if message.end_of_stream {
            let finished = responding.finished();
            self.over(finished, acts);
        }
    }

    pub(super) fn response_body(&mut self, body: &HttpBody, acts: &mut Vec<Act>) {
        let mode = self.response_mode;
        let Some(responding) = self.responding() else {
            return;
        };
        if !responding.began && !body.body.is_empty() {
            responding.began = true;
            if responding.is_good() {
                acts.push(Act::FirstByte);
            }
        }
        let renames = responding.renamer.is_some();
        let piece = responding.pass(body);
        acts.push(Act::Send(match mode {
            Mode::Duplex => say::streamed(
                Response::ResponseBody,
                HttpBody {
                    body: piece,
                    end_of_stream: body.end_of_stream,
                },
            ),
            _ => say::replaced(Response::ResponseBody, renames.then_some(piece)),
        }));
        if body.end_of_stream {
            let finished = responding.finished();
            self.over(finished, acts);
        }
    }

    pub(super) fn response_trailers(&mut self, acts: &mut Vec<Act>) {
        let mode = self.response_mode;
        let Some(responding) = self.responding() else {
            return;
        };
        let held = responding.renamer.as_mut().map(Renamer::end);
        if let Some(body) = held.filter(|held| !held.is_empty() && mode == Mode::Duplex) {
            let last = HttpBody {
                body,
                end_of_stream: false,
            };
            acts.push(Act::Send(say::streamed(Response::ResponseBody, last)));
        }
        let answer = Response::ResponseTrailers(TrailersResponse::default());
        acts.push(Act::Send(say::plain(answer)));
        let finished = responding.finished();
        self.over(finished, acts);
    }
}

/// Who has answered, as the data plane says.
fn served(metadata: Option<&Metadata>) -> Option<String> {
    let value = metadata?
        .filter_metadata
        .get("envoy.lb")?
        .fields
        .get(SERVED)?;
    match &value.kind {
        Some(Kind::StringValue(address)) if !address.is_empty() => Some(address.clone()),
        _ => None,
    }
}

fn tells_usage(headers: &Headers) -> bool {
    let kind = headers.get("content-type");
    let told =
        |kind: &str| kind.starts_with("application/json") || kind.starts_with("text/event-stream");
    headers.get("content-encoding").is_none() && kind.is_some_and(|kind| told(&kind))
}
