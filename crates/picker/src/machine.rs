//! The protocol of one request, from its headers to the end of its answer, without IO: events in,
//! acts out. One `ext_proc` stream is one request.
//!
//! ```text
//! New -- request headers --> Gathering -- whole --> Deciding -- decided --> Responding --> Over
//! ```
//!
//! With full-duplex bodies nothing is answered before the body is whole, since only then it is known
//! where the request goes; with buffered ones the headers are answered at once, empty, and the
//! destination goes with the body; where no body is sent, or it is streamed past, the choice is made
//! by the headers alone. An answer's pieces are answered one by one as they come.

mod request;
mod response;
mod say;

use crate::{
    headers::{Control, Headers},
    proto::{
        HttpBody, Metadata, ProcessingRequest, ProcessingResponse, ProtocolConfiguration, Request,
    },
    refusal::{Code, Refusal},
    subset::Subset,
};
use bytes::{Bytes, BytesMut};
use onefill_schedule::Usage;
use prost_types::Value;
use response::Responding;

/// Messages that may wait while a request is decided; a proxy that sends more breaks the protocol.
const WAITING_MAX: usize = 64;

/// Room made for a body in several pieces before they are there: what a header says is no reason to
/// take more.
const RESERVED_MAX: usize = 1 << 20;

/// What a machine is told at its start.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Largest request body.
    pub body_bytes_max: usize,
    /// For a request without an id.
    pub fresh_id: u128,
}

/// What happens to a request.
#[derive(Debug)]
pub enum Event {
    /// Envoy said something.
    Message(ProcessingRequest),
    /// The answer to [`Act::Decide`].
    Decided(Result<Picked, Refusal>),
    /// The body did not come in time.
    Late,
}

/// What is to be done, in this order.
#[derive(Debug)]
pub enum Act {
    /// Tell Envoy.
    Send(ProcessingResponse),
    /// Choose where this request goes, and say so by [`Event::Decided`].
    Decide(Box<Whole>),
    /// The first byte of a good answer's body has come.
    FirstByte,
    /// The data plane says who has answered: `ip:port`.
    Served(String),
    /// An answer began with this status.
    Answered(u16),
    /// The answer is over.
    Done(Finished),
    /// End the stream well; Envoy goes on alone.
    Close,
    /// End the stream with an error: the proxy broke the protocol.
    Fail(&'static str),
}

/// An answer that is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Finished {
    /// What it reported, if it did.
    pub usage: Usage,
    /// Bytes of its body.
    pub bytes: u64,
}

/// A request that is whole.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Whole {
    /// All its headers.
    pub headers: Headers,
    /// What they say to the picker.
    pub control: Control,
    /// The body as it came; empty where there is none.
    pub body: Bytes,
    /// Where the body is.
    pub way: Way,
    /// Endpoints that it may go to.
    pub subset: Option<Subset>,
    /// Id given to a request that had none.
    pub fresh_id: Option<String>,
}

/// Where a request's body is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Way {
    /// There is none.
    #[default]
    Nowhere,
    /// Here.
    Here,
    /// It does not come by here before the decision.
    Elsewhere,
}

/// Where a request goes, and what is changed on its way.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Picked {
    /// `ip:port`, or several with commas, the best first.
    pub destination: String,
    /// Further request headers.
    pub headers: Vec<(&'static str, String)>,
    /// Further response headers.
    pub response_headers: Vec<(String, String)>,
    /// The body, where it is another.
    pub body: Option<Bytes>,
    /// The model's name at the replica and at the client, where they differ.
    pub renamed: Option<(String, String)>,
    /// Further metadata in `envoy.lb`.
    pub metadata: Vec<(&'static str, Value)>,
    /// Whether the answer is of no concern: then the stream is closed.
    pub alone: bool,
}

/// Numbers of `ProcessingMode.BodySendMode`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    None,
    Streamed,
    Buffered,
    Duplex,
}

impl Mode {
    /// What Envoy says, or what a picker is meant for where it says nothing.
    const fn of(number: Option<i32>) -> Self {
        match number {
            Some(0) => Self::None,
            Some(1) => Self::Streamed,
            Some(2 | 3) => Self::Buffered,
            _ => Self::Duplex,
        }
    }
}

/// With which message the destination is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answer {
    /// That for the headers; no body comes by here.
    Headers,
    /// That for the buffered body.
    Body,
    /// That for the headers, and the body follows in pieces.
    Pieces,
}

#[derive(Debug)]
enum Phase {
    New,
    Gathering(Box<Gathering>),
    Deciding(Box<Deciding>),
    Responding(Box<Responding>),
    Over,
}

/// Headers are there, the body is coming.
#[derive(Debug)]
struct Gathering {
    whole: Whole,
    /// The first piece as it came: a body of one piece is not copied.
    first: Bytes,
    /// All pieces, once there are several.
    all: BytesMut,
    /// Bytes that the body will have, as its headers say.
    announced: usize,
}

/// All is there but the decision.
#[derive(Debug)]
struct Deciding {
    answer: Answer,
    body: Bytes,
    fresh_id: Option<String>,
    /// The request ended with trailers, which are to be answered too.
    trailers: bool,
    /// What Envoy said meanwhile.
    waiting: Vec<ProcessingRequest>,
}

/// One request.
#[derive(Debug)]
pub struct Machine {
    rules: Rules,
    request_mode: Mode,
    response_mode: Mode,
    phase: Phase,
}

impl Machine {
    /// A request of which nothing is known.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            request_mode: Mode::Duplex,
            response_mode: Mode::Duplex,
            phase: Phase::New,
        }
    }

    /// Whether the request's body is still coming.
    pub fn is_gathering(&self) -> bool {
        matches!(self.phase, Phase::New | Phase::Gathering(_))
    }

    /// Bytes of the request's body that are held.
    pub fn held_bytes(&self) -> usize {
        match &self.phase {
            Phase::Gathering(gathering) => gathering.bytes(),
            Phase::Deciding(deciding) => deciding.body.len(),
            _ => 0,
        }
    }

    /// What follows from an event.
    pub fn on(&mut self, event: Event, acts: &mut Vec<Act>) {
        match event {
            Event::Message(message) => self.message(message, acts),
            Event::Decided(verdict) => self.decided(verdict, acts),
            Event::Late if self.is_gathering() => {
                let late = "the request's body did not come in time";
                self.refuse(&Refusal::new(Code::Timeout, late), acts);
            }
            Event::Late => {}
        }
    }

    fn message(&mut self, message: ProcessingRequest, acts: &mut Vec<Act>) {
        if message.observability_mode {
            return self.over(Act::Close, acts); // it is told, not asked
        }
        if let Phase::New = self.phase {
            self.read_modes(message.protocol_config);
        }
        if let Phase::Deciding(deciding) = &mut self.phase
            && !matches!(message.request, Some(Request::ResponseHeaders(_)))
        {
            if deciding.waiting.len() >= WAITING_MAX {
                return self.over(Act::Fail("too many messages before a decision"), acts);
            }
            return deciding.waiting.push(message);
        }
        let metadata = message.metadata_context.as_ref();
        match message.request {
            Some(Request::RequestHeaders(headers)) => self.request_headers(headers, metadata, acts),
            Some(Request::RequestBody(body)) => self.request_body(body, metadata, acts),
            Some(Request::RequestTrailers(_)) => self.request_trailers(acts),
            Some(Request::ResponseHeaders(headers)) => {
                self.response_headers(headers, metadata, acts);
            }
            Some(Request::ResponseBody(body)) => self.response_body(&body, acts),
            Some(Request::ResponseTrailers(_)) => self.response_trailers(acts),
            None => self.over(Act::Fail("a message of an unknown kind"), acts),
        }
    }

    fn read_modes(&mut self, config: Option<ProtocolConfiguration>) {
        self.request_mode = Mode::of(config.map(|config| config.request_body_mode));
        self.response_mode = Mode::of(config.map(|config| config.response_body_mode));
    }

    fn over(&mut self, last: Act, acts: &mut Vec<Act>) {
        self.phase = Phase::Over;
        acts.push(last);
    }

    fn refuse(&mut self, refusal: &Refusal, acts: &mut Vec<Act>) {
        acts.push(Act::Send(say::refusal(refusal)));
        self.over(Act::Close, acts);
    }
}

impl Gathering {
    fn bytes(&self) -> usize {
        self.first.len() + self.all.len()
    }

    fn push(&mut self, piece: HttpBody) {
        if self.bytes() == 0 {
            self.first = piece.body;
            return;
        }
        let first = std::mem::take(&mut self.first);
        if !first.is_empty() {
            self.all.reserve(self.announced.min(RESERVED_MAX));
            self.all.extend_from_slice(&first);
        }
        self.all.extend_from_slice(&piece.body);
    }

    fn read_subset(&mut self, metadata: Option<&Metadata>) {
        // It comes with the headers, with the body, or with both.
        if let Some(subset) = Subset::read(metadata) {
            self.whole.subset = Some(subset);
        }
    }

    /// The request with its body in one piece.
    fn whole(self) -> Whole {
        let body = match self.all.is_empty() {
            true => self.first,
            false => self.all.freeze(),
        };
        Whole { body, ..self.whole }
    }
}

#[cfg(test)]
mod tests;
