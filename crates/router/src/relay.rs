//! Streams an answer through, piece by piece as it comes, and hands the ticket back at its end.
//! A client that leaves drops it: the connection to the replica is closed, which cancels there.

use crate::{
    app::App,
    check::Sample,
    observe::{Seen, observe},
    prompt::Prompt,
    queue::Place,
    roster::Member,
    upstream::Link,
};
use bytes::Bytes;
use http::{
    header::{CONTENT_ENCODING, CONTENT_TYPE},
    response::Parts,
};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use onefill_prompt::Door;
use onefill_schedule::{Ended, Pick, Receipt, Ticket, Usage, usage::Tail};
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::time::Sleep;

/// One request at one replica, from the pick to the end.
pub(crate) struct Booking {
    app: Arc<App>,
    member: Arc<Member>,
    ticket: Option<Ticket>,
    receipt: Receipt,
    prompt: Arc<Prompt>,
    sample: Option<Sample>,
    arrived: Instant,
    /// From the arrival to the first byte of the answer, once it is there.
    first: Option<Duration>,
    /// The end of the answer, where it may tell the usage.
    tail: Option<Tail>,
}

impl Booking {
    pub(crate) fn new(
        app: &Arc<App>,
        member: &Arc<Member>,
        pick: Pick,
        prompt: &Arc<Prompt>,
        arrived: Instant,
    ) -> Self {
        member.metrics.requests.inc();
        member.metrics.in_flight.inc();
        Self {
            app: Arc::clone(app),
            member: Arc::clone(member),
            ticket: Some(pick.ticket),
            receipt: pick.receipt,
            prompt: Arc::clone(prompt),
            sample: None,
            arrived,
            first: None,
            tail: None,
        }
    }

    /// The body is kept where a wrong prediction should be looked into.
    pub(crate) fn keep_for_check(&mut self, door: Door, body: &Bytes) {
        if self.prompt.question.comparable(self.receipt.knowledge) {
            self.sample = Some(Sample {
                door,
                body: body.clone(),
            });
        }
    }

    /// The answer has begun: prefill is over, so the replica holds the prompt from now on. Not
    /// before: requests in flight are in the scheduler's book, and a failed one computes nothing.
    pub(crate) fn first_byte(&mut self, parts: &Parts) {
        if !parts.status.is_success() {
            return;
        }
        if let Some(ticket) = &self.ticket {
            self.app.scheduler.first_byte(self.app.now(), ticket);
        }
        let first = self.arrived.elapsed();
        self.first = Some(first);
        self.app.metrics.first_byte.observe(first.as_secs_f64());
        self.app
            .metrics
            .prompt_tokens
            .inc_by(u64::from(self.receipt.prompt_tokens));
        self.app
            .metrics
            .overlap_tokens
            .inc_by(u64::from(self.receipt.overlap_tokens));
        // Exact replicas' histories are kept too: they are what is left when a feed breaks.
        let now = self.app.now();
        self.prompt.question.remember(&self.member.replica, now);
        self.tail = tells_usage(parts).then(Tail::default);
    }

    /// The answer broke off on its way to the client: nothing can be saved.
    fn broke(&self) {
        self.member.metrics.failures.inc();
        self.app.fleet.suspect(self.member.replica.id);
        tracing::warn!(url = self.member.replica.url, "replica broke off an answer");
    }

    /// The request is over.
    pub(crate) fn end(mut self, ended: Ended) {
        self.finish(ended);
    }

    fn finish(&mut self, ended: Ended) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        self.member.metrics.in_flight.dec();
        let usage = self.tail.take().map_or_else(Usage::default, Tail::usage);
        self.app
            .scheduler
            .finished(self.app.now(), ticket, ended, usage);
        let seen = Seen {
            member: &self.member,
            prompt: &self.prompt,
            receipt: &self.receipt,
            arrived: self.arrived,
            first: self.first,
            usage,
            ended,
        };
        observe(&self.app, &seen);
        if ended == Ended::Done {
            self.app
                .metrics
                .duration
                .observe(self.arrived.elapsed().as_secs_f64());
            self.compare(usage);
        }
    }

    /// Expected against reported.
    fn compare(&mut self, usage: Usage) {
        let (Some(prompt), Some(cached)) = (usage.prompt_tokens, usage.cached_tokens) else {
            return;
        };
        self.app
            .metrics
            .reported_prompt_tokens
            .inc_by(u64::from(prompt));
        self.app
            .metrics
            .reported_cached_tokens
            .inc_by(u64::from(cached));
        if let Some(sample) = self.sample.take() {
            let difference = cached.abs_diff(self.receipt.overlap_tokens);
            self.app
                .metrics
                .prediction_error
                .observe(f64::from(difference));
            let wrong = difference >= self.prompt.question.ask.block_tokens
                || prompt != self.receipt.prompt_tokens;
            self.app.drift.observe(wrong, sample);
        }
    }
}

fn tells_usage(parts: &Parts) -> bool {
    let json = |kind: &[u8]| {
        kind.starts_with(b"application/json") || kind.starts_with(b"text/event-stream")
    };
    !parts.headers.contains_key(CONTENT_ENCODING)
        && parts
            .headers
            .get(CONTENT_TYPE)
            .is_some_and(|kind| json(kind.as_bytes()))
}

impl Drop for Booking {
    fn drop(&mut self) {
        self.finish(Ended::Cancelled); // unless it has ended already
    }
}

/// An answer that broke off on its way.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayError {
    #[error("the replica broke off: {0}")]
    Broken(#[from] hyper::Error),
    #[error("the replica fell silent")]
    Silent,
}

/// An answer's body on its way.
pub(crate) struct Relay {
    body: Incoming,
    /// `None` at the end.
    link: Option<Link>,
    first: Option<Frame<Bytes>>,
    /// Why it broke off, to be told after what came before has gone out.
    broken: Option<hyper::Error>,
    booking: Option<Booking>,
    place: Option<Place>,
    /// Fires some time after the last piece; armed anew only when it fires.
    idle: Option<Pin<Box<Sleep>>>,
    heard: Instant,
}

type Polled = Poll<Option<Result<Frame<Bytes>, RelayError>>>;

impl Relay {
    pub(crate) fn new(
        body: Incoming,
        link: Link,
        first: Option<Frame<Bytes>>,
        booking: Booking,
        place: Place,
    ) -> Self {
        let mut relay = Self {
            link: Some(link),
            body,
            first,
            broken: None,
            booking: Some(booking),
            place: Some(place),
            idle: None,
            heard: Instant::now(),
        };
        if relay.first.is_none() {
            relay.end(Ended::Done);
        }
        relay
    }

    /// The next piece, as soon as it is there.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error.into())));
        }
        let frame = match (self.first.take(), &mut self.link) {
            (Some(first), _) => Some(Ok(first)),
            (None, None) => return Poll::Ready(None),
            (None, Some(link)) => match link.poll_frame(&mut self.body, cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending => return self.wait(cx),
            },
        };
        self.passed(frame.as_ref());
        match frame.transpose() {
            Ok(frame) => Poll::Ready(frame.map(Ok)),
            Err(error) => {
                // hyper drops what it has not written yet at an error, the answer's head too: it
                // writes while there is nothing to read.
                self.broken = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    /// Whether all has been given.
    pub(crate) const fn is_over(&self) -> bool {
        self.link.is_none() && self.broken.is_none()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        let first = self
            .first
            .as_ref()
            .and_then(|frame| frame.data_ref())
            .map_or(0, Bytes::len);
        let rest = self.body.size_hint();
        let mut whole = SizeHint::new();
        whole.set_lower(rest.lower() + first as u64);
        if let Some(upper) = rest.upper() {
            whole.set_upper(upper + first as u64);
        }
        whole
    }

    fn passed(&mut self, frame: Option<&Result<Frame<Bytes>, hyper::Error>>) {
        match frame {
            Some(Ok(frame)) => {
                self.heard = Instant::now();
                let tail = self
                    .booking
                    .as_mut()
                    .and_then(|booking| booking.tail.as_mut());
                if let (Some(tail), Some(data)) = (tail, frame.data_ref()) {
                    tail.push(data);
                }
                // With a known length nobody asks for the end: it is seen here.
                if self.body.is_end_stream() {
                    self.end(Ended::Done);
                }
            }
            Some(Err(_)) => self.end(Ended::Failed),
            None => self.end(Ended::Done),
        }
    }

    /// Nothing there yet. Too long is an end too.
    fn wait(&mut self, cx: &mut Context<'_>) -> Polled {
        let Some(booking) = &self.booking else {
            return Poll::Ready(None);
        };
        let patience = booking.app.config.timeouts.answer_idle;
        let idle = self
            .idle
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        while idle.as_mut().poll(cx).is_ready() {
            let silent = self.heard.elapsed();
            if silent >= patience {
                self.end(Ended::Failed);
                return Poll::Ready(Some(Err(RelayError::Silent)));
            }
            idle.as_mut()
                .reset(tokio::time::Instant::now() + (patience - silent));
        }
        Poll::Pending
    }

    fn end(&mut self, ended: Ended) {
        let (link, booking) = (self.link.take(), self.booking.take());
        if let (Some(link), Some(booking)) = (link, booking) {
            match ended {
                Ended::Done => booking.member.pool.keep(link),
                _ => booking.broke(),
            }
            booking.end(ended);
        }
        self.place = None;
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("over", &self.is_over())
            .finish_non_exhaustive()
    }
}
