//! Flow control: requests wait here, not in the engines' queues, while the pool is full or has no
//! endpoint. Which one goes next is the matter of [`queues`]; this is their way in and out.

mod queues;
pub mod rules;

use crate::{
    app::App,
    endpoint::Endpoint,
    plan::Wish,
    refusal::{Code, Dropped, Refusal},
    roster::Member,
};
use onefill_kv::{Knowledge, Overlap};
use onefill_schedule::Candidate;
use parking_lot::Mutex;
pub(crate) use queues::Used;
use queues::{Place, Queues};
use rules::Flows;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::{Notify, oneshot};

/// While requests wait, room is looked for this often.
const TICK: Duration = Duration::from_millis(2);

/// How a request's wait ends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Outcome {
    /// It may go.
    Dispatched,
    /// There was no room to wait in.
    RejectedCapacity,
    /// It did not get its turn in time.
    EvictedTtl,
    /// And no endpoint came in that time.
    RejectedNoEndpoints,
    /// Its client left.
    EvictedContextCancelled,
    /// The picker stops.
    RejectedOther,
}

impl Outcome {
    /// The reference's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Dispatched => "Dispatched",
            Self::RejectedCapacity => "RejectedCapacity",
            Self::EvictedTtl => "EvictedTTL",
            Self::RejectedNoEndpoints => "RejectedNoEndpoints",
            Self::EvictedContextCancelled => "EvictedContextCancelled",
            Self::RejectedOther => "RejectedOther",
        }
    }

    /// What the client is told; `None`: nothing, it goes on.
    fn refusal(self) -> Option<Refusal> {
        let refusal = |code, reason, message: &str| {
            Some(Refusal {
                reason: Some(reason),
                ..Refusal::new(code, message)
            })
        };
        let (busy, away) = (Code::ResourceExhausted, Code::ServiceUnavailable);
        match self {
            Self::Dispatched => None,
            Self::RejectedCapacity => refusal(busy, Dropped::Saturated, "the queue is full"),
            Self::EvictedTtl => refusal(busy, Dropped::TtlExpired, "request timed out in queue"),
            Self::RejectedNoEndpoints => {
                refusal(away, Dropped::NoEndpoints, "no endpoints available")
            }
            Self::EvictedContextCancelled => {
                refusal(away, Dropped::ContextCancelled, "client disconnected")
            }
            Self::RejectedOther => {
                refusal(away, Dropped::ShuttingDown, "flow controller shutting down")
            }
        }
    }
}

#[derive(Debug)]
struct State {
    queues: Queues,
    /// Who is to be told.
    waiting: HashMap<u64, oneshot::Sender<Outcome>>,
    closed: bool,
}

/// Requests that wait, and those that were sent on and are not booked yet.
#[derive(Debug)]
pub(crate) struct Flow {
    state: Mutex<State>,
    came: Notify,
    coming: AtomicU32,
}

/// A request on its way from the queue to its endpoint.
#[derive(Debug)]
pub(crate) struct Coming(Arc<App>);

impl Drop for Coming {
    fn drop(&mut self) {
        if let Some(flow) = &self.0.flow {
            flow.coming.fetch_sub(1, Relaxed);
        }
    }
}

impl Flow {
    pub(crate) fn new(rules: Flows) -> Self {
        Self {
            state: Mutex::new(State {
                queues: Queues::new(rules),
                waiting: HashMap::new(),
                closed: false,
            }),
            came: Notify::new(),
            coming: AtomicU32::new(0),
        }
    }

    /// Everybody who waits is sent away, and whoever comes.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        for (_, told) in state.waiting.drain() {
            _ = told.send(Outcome::RejectedOther); // one whose client has left hears nothing
        }
    }

    /// Sends on what there is room for; true where requests wait still.
    fn step(&self, app: &App) -> bool {
        let pool = pool(app);
        let saturation = app.saturation();
        let now = app.now();
        let mut state = self.state.lock();
        let empty = pool.is_empty();
        let late = state.queues.expired(empty, now);
        let outcome = if empty {
            Outcome::RejectedNoEndpoints
        } else {
            Outcome::EvictedTtl
        };
        for number in late {
            state.tell(number, outcome);
        }
        let mut full = saturation.of(&pool, self.coming.load(Relaxed));
        app.metrics.flow.saturation.set(full);
        while full < 1.0
            && let Some((number, waited)) = state.queues.next(now)
        {
            app.metrics.flow.waited.observe(waited.as_secs_f64());
            // Counted here already: the next one must not take the same room.
            self.coming.fetch_add(1, Relaxed);
            if !state.tell(number, Outcome::Dispatched) {
                self.coming.fetch_sub(1, Relaxed);
            }
            full = saturation.of(&pool, self.coming.load(Relaxed));
        }
        app.metrics.flow.waits(state.queues.used());
        !state.queues.is_empty()
    }
}

impl State {
    /// False where nobody listens any more.
    fn tell(&mut self, number: u64, outcome: Outcome) -> bool {
        let told = self.waiting.remove(&number);
        told.is_some_and(|told| told.send(outcome).is_ok())
    }
}

/// Sends requests on for ever.
pub(crate) async fn dispatch(app: Arc<App>) {
    let Some(flow) = &app.flow else { return };
    loop {
        flow.came.notified().await;
        while flow.step(&app) {
            tokio::time::sleep(TICK).await;
        }
    }
}

/// Waits for this request's turn.
pub(crate) async fn pass(
    app: &Arc<App>,
    wish: &Wish<'_>,
    bytes: usize,
) -> Result<Option<Coming>, Refusal> {
    let Some(flow) = &app.flow else {
        return Ok(None);
    };
    let (tell, told) = oneshot::channel();
    let bytes = bytes as u64;
    let entered = {
        let mut state = flow.state.lock();
        if state.closed {
            Err(Outcome::RejectedOther)
        } else {
            let place = state
                .queues
                .enter(wish.priority, wish.fairness, bytes, app.now());
            let place = place.ok_or(Outcome::RejectedCapacity);
            place.inspect(|place| {
                state.waiting.insert(place.number, tell);
            })
        }
    };
    let outcome = match entered {
        Err(outcome) => outcome,
        Ok(place) => {
            let mut waits = Waits {
                app,
                wish,
                place,
                told,
                on: true,
            };
            flow.came.notify_one();
            let outcome = (&mut waits.told).await;
            waits.on = false;
            outcome.unwrap_or(Outcome::RejectedOther)
        }
    };
    let outcome = match outcome {
        // A queue that is full of requests for nobody is no load.
        Outcome::RejectedCapacity if pool(app).is_empty() => Outcome::RejectedNoEndpoints,
        outcome => outcome,
    };
    app.metrics.flow.ended(outcome, wish.priority);
    match outcome.refusal() {
        None => Ok(Some(Coming(Arc::clone(app)))),
        Some(refusal) => Err(refusal),
    }
}

/// A request in the queue, which leaves it with its client.
struct Waits<'a> {
    app: &'a Arc<App>,
    wish: &'a Wish<'a>,
    place: Place,
    told: oneshot::Receiver<Outcome>,
    on: bool,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let Some(flow) = self.app.flow.as_ref().filter(|_| self.on) else {
            return;
        };
        let mut state = flow.state.lock();
        state.waiting.remove(&self.place.number);
        state.queues.leave(&self.place);
        if self.told.try_recv() == Ok(Outcome::Dispatched) {
            flow.coming.fetch_sub(1, Relaxed); // it did not live to hear of it
        }
        let outcome = Outcome::EvictedContextCancelled;
        self.app.metrics.flow.ended(outcome, self.wish.priority);
    }
}

/// The endpoints that are up, with their loads.
fn pool(app: &App) -> Vec<Endpoint> {
    let at = Instant::now();
    let endpoint = |member: &Arc<Member>| {
        let load = onefill_question::load(&member.replica.status(), at);
        let candidate = Candidate {
            replica: member.replica.id,
            overlap: Overlap::default(),
            knowledge: Knowledge::LoadOnly,
            load,
        };
        app.endpoint(member, candidate)
    };
    app.roster().well().members.iter().map(endpoint).collect()
}

#[cfg(test)]
mod tests;
