//! One `ext_proc` stream: feeds the machine with what Envoy says, and does what it orders.

use crate::{
    app::App,
    booking::Booking,
    decide::decide,
    machine::{Act, Event, Machine, Rules, Whole},
    proto::{ProcessingRequest, ProcessingResponse},
    refusal::{Code, Dropped, Refusal},
};
use futures_util::Stream;
use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
    time::Instant,
};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

/// Answers of one stream that wait for Envoy to read them.
const ANSWERS_MAX: usize = 16;

/// One thing that Envoy is told.
struct Said {
    message: Result<ProcessingResponse, Status>,
    last: bool,
}

/// What is sent to Envoy.
#[derive(Debug)]
pub(crate) struct Out(mpsc::Sender<Said>);

/// All of it. It ends with the last message, not when the request's task gets that far: a response that
/// comes in between would be handed to a stream that is about to end, and lost.
pub(crate) struct Answers {
    told: mpsc::Receiver<Said>,
    over: bool,
}

/// The two ends of what Envoy is told.
pub(crate) fn answers() -> (Out, Answers) {
    let (tell, told) = mpsc::channel(ANSWERS_MAX);
    (Out(tell), Answers { told, over: false })
}

impl Out {
    /// False where Envoy is gone.
    async fn say(&self, message: Result<ProcessingResponse, Status>, last: bool) -> bool {
        self.0.send(Said { message, last }).await.is_ok()
    }
}

impl Stream for Answers {
    type Item = Result<ProcessingResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let said = ready!(self.told.poll_recv(cx));
        Poll::Ready(said.map(|said| {
            self.over = said.last;
            said.message
        }))
    }
}

/// Drives one request to its end, or until Envoy leaves it.
pub(crate) async fn drive(app: Arc<App>, inbound: Streaming<ProcessingRequest>, out: Out) {
    app.metrics.streams.inc();
    app.metrics.streams_total.inc();
    let rules = Rules {
        body_bytes_max: app.config.limits.body_bytes_max,
        fresh_id: app.dice.id(),
    };
    let mut request = Request {
        machine: Machine::new(rules),
        inbound,
        out,
        booking: None,
        held: Held {
            app: Arc::clone(&app),
            bytes: 0,
        },
        last: false,
        app,
    };
    request.run().await;
    request.app.metrics.streams.dec();
}

struct Request {
    app: Arc<App>,
    machine: Machine,
    inbound: Streaming<ProcessingRequest>,
    out: Out,
    booking: Option<Booking>,
    held: Held,
    /// The machine has ordered the end.
    last: bool,
}

/// Bytes of this request's body in the sum of all.
struct Held {
    app: Arc<App>,
    bytes: usize,
}

impl Held {
    /// Counts what is held now; false where that is too much with all others.
    fn count(&mut self, bytes: usize) -> bool {
        if bytes > self.bytes {
            let added = bytes - self.bytes;
            let before = self.app.held_bytes.fetch_add(added, Relaxed);
            self.bytes = bytes;
            return before + added <= self.app.config.limits.bodies_bytes_max;
        }
        let freed = self.bytes - bytes;
        self.app.held_bytes.fetch_sub(freed, Relaxed);
        self.bytes = bytes;
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.app.held_bytes.fetch_sub(self.bytes, Relaxed);
    }
}

impl Request {
    async fn run(&mut self) {
        let late = tokio::time::sleep(self.app.config.timeouts.body);
        tokio::pin!(late);
        while !self.last {
            let event = tokio::select! {
                message = self.inbound.message() => match message {
                    Ok(Some(message)) => Event::Message(message),
                    Ok(None) | Err(_) => return, // the client is gone, or Envoy
                },
                () = &mut late, if self.machine.is_gathering() => Event::Late,
            };
            if !self.feed(event).await {
                return;
            }
        }
    }

    /// Feeds an event, and does what follows from it; false where Envoy is gone.
    async fn feed(&mut self, event: Event) -> bool {
        let mut acts = Vec::new();
        self.machine.on(event, &mut acts);
        if !self.held.count(self.machine.held_bytes()) {
            let refusal = Refusal {
                reason: Some(Dropped::Saturated),
                ..Refusal::new(Code::ResourceExhausted, "too many bodies are held already")
            };
            return self.refuse(refusal).await;
        }
        let mut acts = acts.into_iter().peekable();
        while let Some(act) = acts.next() {
            let goes_on = match act {
                // The last act of its list: what follows from the decision comes after it.
                Act::Decide(whole) => return Box::pin(self.decide(&whole)).await,
                Act::Send(message) => {
                    let last = matches!(acts.peek(), Some(Act::Close));
                    self.out.say(Ok(message), last).await
                }
                act => self.act(act).await,
            };
            if !goes_on {
                return false;
            }
        }
        true
    }

    async fn decide(&mut self, whole: &Whole) -> bool {
        let arrived = Instant::now();
        self.app
            .metrics
            .request_bytes
            .observe(whole.body.len() as f64);
        let app = Arc::clone(&self.app);
        let verdict = tokio::select! {
            verdict = decide(&app, whole) => verdict,
            () = self.out.0.closed() => return false,
        };
        self.app
            .metrics
            .decision
            .observe(arrived.elapsed().as_secs_f64());
        let verdict = match verdict {
            Ok(decision) => {
                self.app.metrics.request(decision.labels);
                self.booking = decision.booking;
                Ok(decision.picked)
            }
            Err(refusal) => {
                self.app.metrics.refused(refusal.code);
                Err(refusal)
            }
        };
        self.feed(Event::Decided(verdict)).await
    }

    async fn refuse(&mut self, refusal: Refusal) -> bool {
        self.app.metrics.refused(refusal.code);
        let said = ProcessingResponse {
            response: Some(crate::proto::Response::Immediate(refusal.response())),
            dynamic_metadata: None,
        };
        self.last = true;
        self.out.say(Ok(said), true).await
    }

    async fn act(&mut self, act: Act) -> bool {
        match act {
            Act::FirstByte => {
                if let Some(booking) = &mut self.booking {
                    booking.first_byte();
                }
            }
            Act::Served(address) => {
                if let Some(booking) = &mut self.booking {
                    booking.served(&address);
                }
            }
            Act::Answered(status) => self.app.metrics.answered(status),
            Act::Done(finished) => {
                if let Some(booking) = self.booking.take() {
                    booking.done(&finished);
                }
            }
            Act::Close => {
                if let Some(booking) = self.booking.take() {
                    booking.let_go();
                }
                self.last = true;
            }
            Act::Fail(why) => {
                tracing::warn!(why, "a proxy broke the protocol");
                self.last = true;
                return self.out.say(Err(Status::invalid_argument(why)), true).await;
            }
            Act::Send(_) | Act::Decide(_) => {}
        }
        true
    }
}
