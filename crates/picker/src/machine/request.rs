//! The request's way: headers, body in any pieces, trailers, and the decision.

use super::{
    Act, Answer, Deciding, Gathering, Machine, Mode, Phase, Picked, Way, Whole,
    response::Responding, say,
};
use crate::{
    headers::{Control, Headers, REQUEST_ID},
    proto::{CommonAnswer, HttpBody, HttpHeaders, Metadata, Response, TrailersResponse},
    refusal::{Code, Refusal},
    rename::Renamer,
};
use bytes::{Bytes, BytesMut};

impl Machine {
    pub(super) fn request_headers(
        &mut self,
        message: HttpHeaders,
        metadata: Option<&Metadata>,
        acts: &mut Vec<Act>,
    ) {
        if !matches!(self.phase, Phase::New) {
            return self.over(Act::Fail("request headers came twice"), acts);
        }
        let headers = Headers::read(message.headers);
        let fresh_id = match headers.get(REQUEST_ID) {
            Some(id) if !id.is_empty() => None,
            _ => Some(uuid(self.rules.fresh_id)),
        };
        let announced = headers.get("content-length");
        let announced = announced.and_then(|length| length.parse().ok());
        let mut gathering = Gathering {
            whole: Whole {
                control: Control::read(&headers),
                headers,
                fresh_id,
                way: self.way(message.end_of_stream),
                ..Whole::default()
            },
            first: Bytes::new(),
            all: BytesMut::new(),
            announced: announced.unwrap_or(0),
        };
        gathering.read_subset(metadata);
        match self.request_mode {
            Mode::Duplex if !message.end_of_stream => {
                self.phase = Phase::Gathering(Box::new(gathering));
            }
            Mode::Buffered if !message.end_of_stream => {
                acts.push(Act::Send(say::plain(Response::RequestHeaders(
                    CommonAnswer::default(),
                ))));
                self.phase = Phase::Gathering(Box::new(gathering));
            }
            _ => self.decide(gathering, Answer::Headers, false, acts),
        }
    }

    pub(super) fn request_body(
        &mut self,
        piece: HttpBody,
        metadata: Option<&Metadata>,
        acts: &mut Vec<Act>,
    ) {
        let mut gathering = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Gathering(gathering) => gathering,
            // Chosen by the headers alone, or Envoy has answered itself: the body goes by.
            Phase::Responding(responding) => {
                self.phase = Phase::Responding(responding);
                if self.request_mode == Mode::Streamed {
                    acts.push(pass_by());
                }
                return;
            }
            _ => return self.over(Act::Fail("a piece of body out of turn"), acts),
        };
        gathering.read_subset(metadata);
        if gathering.bytes() + piece.body.len() > self.rules.body_bytes_max {
            let limit = self.rules.body_bytes_max;
            let message = format!("the request's body is larger than {limit} bytes");
            return self.refuse(&Refusal::new(Code::TooLarge, message), acts);
        }
        // A buffered body comes in one message, before trailers too.
        let last = piece.end_of_stream || self.request_mode == Mode::Buffered;
        gathering.push(piece);
        if last {
            let answer = self.answer_with_body();
            self.decide(*gathering, answer, false, acts);
        } else {
            self.phase = Phase::Gathering(gathering);
        }
    }

    pub(super) fn request_trailers(&mut self, acts: &mut Vec<Act>) {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Gathering(gathering) => {
                let answer = self.answer_with_body();
                self.decide(*gathering, answer, true, acts);
            }
            other => {
                self.phase = other;
                acts.push(Act::Send(trailers()));
            }
        }
    }

    const fn way(&self, ends: bool) -> Way {
        match self.request_mode {
            _ if ends => Way::Nowhere,
            Mode::Duplex | Mode::Buffered => Way::Here,
            Mode::None | Mode::Streamed => Way::Elsewhere,
        }
    }

    fn answer_with_body(&self) -> Answer {
        match self.request_mode {
            Mode::Buffered => Answer::Body,
            _ => Answer::Pieces,
        }
    }

    fn decide(
        &mut self,
        gathering: Gathering,
        answer: Answer,
        trailers: bool,
        acts: &mut Vec<Act>,
    ) {
        let whole = gathering.whole();
        self.phase = Phase::Deciding(Box::new(Deciding {
            answer,
            body: whole.body.clone(),
            fresh_id: whole.fresh_id.clone(),
            trailers,
            waiting: Vec::new(),
        }));
        acts.push(Act::Decide(Box::new(whole)));
    }

    pub(super) fn decided(&mut self, verdict: Result<Picked, Refusal>, acts: &mut Vec<Act>) {
        let Phase::Deciding(deciding) = std::mem::replace(&mut self.phase, Phase::Over) else {
            return; // an answer came before the decision: Envoy's own
        };
        let picked = match verdict {
            Ok(picked) => picked,
            Err(refusal) => return self.refuse(&refusal, acts),
        };
        say_destination(&deciding, &picked, acts);
        if deciding.trailers {
            acts.push(Act::Send(trailers()));
        }
        if picked.alone {
            return self.over(Act::Close, acts);
        }
        let renamer = picked
            .renamed
            .map(|(target, client)| Renamer::new(&target, &client));
        let responding = Responding::new(renamer, picked.response_headers);
        self.phase = Phase::Responding(Box::new(responding));
        for message in deciding.waiting {
            self.message(message, acts);
        }
    }
}

/// A piece of a request's body that goes by is answered without a change.
fn pass_by() -> Act {
    Act::Send(say::plain(Response::RequestBody(CommonAnswer::default())))
}

fn trailers() -> crate::proto::ProcessingResponse {
    say::plain(Response::RequestTrailers(TrailersResponse::default()))
}

fn say_destination(deciding: &Deciding, picked: &Picked, acts: &mut Vec<Act>) {
    let body = picked.body.as_ref().unwrap_or(&deciding.body);
    let mut headers = say::request_headers(picked, deciding.fresh_id.as_deref());
    // Envoy refuses a buffered body of another length than the header says, and may pass the header
    // on before pieces.
    if picked.body.is_some() || deciding.answer == Answer::Pieces {
        headers.push(("content-length", body.len().to_string().into()));
    }
    match deciding.answer {
        Answer::Headers => acts.push(Act::Send(say::destination(
            Response::RequestHeaders,
            headers,
            None,
            picked,
        ))),
        Answer::Body => acts.push(Act::Send(say::destination(
            Response::RequestBody,
            headers,
            picked.body.clone(),
            picked,
        ))),
        Answer::Pieces => {
            acts.push(Act::Send(say::destination(
                Response::RequestHeaders,
                headers,
                None,
                picked,
            )));
            let pieces = say::pieces(body, !deciding.trailers);
            let piece = |piece| Act::Send(say::streamed(Response::RequestBody, piece));
            acts.extend(pieces.map(piece));
        }
    }
}

/// A random (version 4) UUID.
fn uuid(random: u128) -> String {
    let version = (random & !(0xf << 76)) | 0x4 << 76;
    let bits = (version & !(0b11 << 62)) | 0b10 << 62;
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ]
    .join("-")
}
