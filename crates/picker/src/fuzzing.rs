//! What the fuzz target `ext_proc` promises.
#![expect(clippy::expect_used, reason = "a broken promise")]

#[path = "../../../fuzz/choices.rs"]
mod choices;
#[cfg(test)]
mod tests;

use crate::{
    machine::{Act, Event, Machine, Picked, Rules, Whole},
    proto::{
        CommonAnswer, HttpBody, HttpHeaders, HttpTrailers, Mutation, ProcessingRequest,
        ProtocolConfiguration, Request, Response,
    },
    refusal::{Code, Refusal},
};
use bytes::Bytes;
use choices::Choices;
use prost::Message;

/// Bodies beyond it are refused.
const BODY_BYTES_MAX: usize = 200_000;
/// Envoy takes no larger pieces.
const PIECE_BYTES_MAX: usize = 62_000;

/// Any messages in any order, decisions too: no panic; what is held has a bound; a decision is asked
/// for once at most; a request's body is sent on as it came, and an answer's too; nothing is said
/// after the end.
///
/// What is left once the choices are made is read as a message from the wire.
pub fn ext_proc(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let mut run = Run::new(&mut choices);
    for _ in 0..64 {
        if !choices.are_left() {
            break;
        }
        run.step(&mut choices);
    }
    if let Ok(message) = ProcessingRequest::decode(choices.0) {
        let again = ProcessingRequest::decode(&*message.encode_to_vec()).expect("its own bytes");
        assert_eq!(again, message);
        run.feed(Event::Message(message));
    }
}

struct Run {
    machine: Machine,
    modes: ProtocolConfiguration,
    decisions: usize,
    over: bool,
    decided: bool,
    /// The request's body, as it is to arrive.
    whole: Bytes,
    /// What was sent on of it.
    sent: Vec<u8>,
    /// Lengths of the answer's pieces. Each piece's bytes are its number.
    pieces: Vec<usize>,
    /// What was passed on of them.
    passed: Vec<u8>,
}

impl Run {
    fn new(choices: &mut Choices<'_>) -> Self {
        let modes = ProtocolConfiguration {
            request_body_mode: i32::try_from(choices.below(6)).expect("small"),
            response_body_mode: i32::try_from(choices.below(6)).expect("small"),
        };
        Self {
            machine: Machine::new(Rules {
                body_bytes_max: BODY_BYTES_MAX,
                fresh_id: 7,
            }),
            modes,
            decisions: 0,
            over: false,
            decided: false,
            whole: Bytes::new(),
            sent: Vec::new(),
            pieces: Vec::new(),
            passed: Vec::new(),
        }
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        let ends = choices.below(2) == 1;
        let request = match choices.below(9) {
            0 => Request::RequestHeaders(headers(ends)),
            1 | 2 => Request::RequestBody(body(choices, ends)),
            3 => Request::RequestTrailers(HttpTrailers::default()),
            4 => Request::ResponseHeaders(headers(ends)),
            5 => {
                let mut body = body(choices, ends);
                let number = u8::try_from(self.pieces.len()).expect("few steps");
                body.body = vec![number; body.body.len()].into();
                self.pieces.push(body.body.len());
                Request::ResponseBody(body)
            }
            6 => Request::ResponseTrailers(HttpTrailers::default()),
            7 => return self.feed(Event::Late),
            _ => return self.decide(ends),
        };
        self.feed(Event::Message(ProcessingRequest {
            request: Some(request),
            protocol_config: Some(self.modes),
            ..ProcessingRequest::default()
        }));
    }

    fn decide(&mut self, well: bool) {
        self.decided |= self.decisions == 1 && well;
        self.feed(Event::Decided(if well {
            Ok(Picked {
                destination: "10.0.0.1:8000".to_owned(),
                ..Picked::default()
            })
        } else {
            Err(Refusal::new(Code::ResourceExhausted, "no"))
        }));
    }

    fn feed(&mut self, event: Event) {
        let mut acts = Vec::new();
        self.machine.on(event, &mut acts);
        assert!(self.machine.held_bytes() <= BODY_BYTES_MAX);
        assert!(
            !self.over || acts.is_empty() || acts.iter().all(is_harmless),
            "{acts:?}"
        );
        for act in acts {
            match act {
                Act::Decide(whole) => self.whole(*whole),
                Act::Send(answer) => self.said(answer.response.expect("an answer")),
                Act::Done(_) | Act::Close | Act::Fail(_) => self.over = true,
                Act::FirstByte | Act::Served(_) | Act::Answered(_) => {}
            }
        }
        if self.decided && !self.sent.is_empty() {
            assert_eq!(self.sent, self.whole, "the body is sent on as it came");
        }
        self.check_answer();
    }

    /// Pieces out of turn may stay away; the others are passed on in their order, whole but for the
    /// last one.
    fn check_answer(&self) {
        let mut last = None;
        let mut runs = self.passed.chunk_by(|a, b| a == b).peekable();
        while let Some(run) = runs.next() {
            let number = usize::from(run[0]);
            assert!(last < Some(number), "in their order");
            assert!(run.len() <= self.pieces[number], "no byte twice");
            assert!(
                runs.peek().is_none() || run.len() == self.pieces[number],
                "whole"
            );
            last = Some(number);
        }
    }

    fn whole(&mut self, whole: Whole) {
        self.decisions += 1;
        assert_eq!(self.decisions, 1, "a decision is asked for once");
        self.whole = whole.body;
    }

    fn said(&mut self, answer: Response) {
        let piece = |answer: CommonAnswer| {
            let body = answer.response.and_then(|common| common.body_mutation);
            match body.and_then(|body| body.mutation) {
                Some(Mutation::Streamed(piece)) => Some(piece.body),
                _ => None,
            }
        };
        match answer {
            Response::RequestBody(answer) => {
                let piece = piece(answer).unwrap_or_default();
                assert!(piece.len() <= PIECE_BYTES_MAX);
                self.sent.extend_from_slice(&piece);
            }
            Response::ResponseBody(answer) => {
                let piece = piece(answer).unwrap_or_default();
                self.passed.extend_from_slice(&piece);
            }
            _ => {}
        }
    }
}

/// What may be said after the end: that a message came out of turn.
fn is_harmless(act: &Act) -> bool {
    matches!(act, Act::Fail(_)) || is_trailers(act)
}

fn is_trailers(act: &Act) -> bool {
    matches!(act, Act::Send(answer) if matches!(answer.response, Some(Response::RequestTrailers(_))))
}

fn headers(end_of_stream: bool) -> HttpHeaders {
    HttpHeaders {
        headers: None,
        end_of_stream,
    }
}

fn body(choices: &mut Choices<'_>, end_of_stream: bool) -> HttpBody {
    let [length, byte] = choices.bytes();
    let length = usize::from(length) * 300;
    HttpBody {
        body: vec![byte; length].into(),
        end_of_stream,
    }
}
