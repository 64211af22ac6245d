//! What all requests share.

use crate::{
    config::Config,
    dice::Dice,
    endpoint::Endpoint,
    flow::Flow,
    metrics::Metrics,
    roster::{Member, Roster, Rosters},
    saturation::Saturation,
};
use arc_swap::Guard;
use onefill_fleet::FleetHandle;
use onefill_question::Trust;
use onefill_schedule::{Candidate, Scheduler};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio_util::task::TaskTracker;

/// What all requests share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) fleet: FleetHandle,
    pub(crate) scheduler: Scheduler,
    pub(crate) metrics: Metrics,
    pub(crate) dice: Dice,
    /// Requests that go by.
    pub(crate) streams: TaskTracker,
    /// Bytes of bodies held for them.
    pub(crate) held_bytes: AtomicUsize,
    pub(crate) connections: AtomicUsize,
    /// The picker is about to stop: proxies should go elsewhere.
    pub(crate) stopping: AtomicBool,
    pub(crate) trust: Trust,
    /// Where requests wait while the pool is full; `None`: in the engines' queues.
    pub(crate) flow: Option<Flow>,
    rosters: Rosters,
    started: Instant,
}

impl App {
    pub(crate) fn new(config: Config, fleet: FleetHandle) -> Arc<Self> {
        Arc::new(Self {
            scheduler: Scheduler::new(config.policy, config.seed.0),
            metrics: Metrics::new(config.old_metric_names),
            dice: Dice::default(),
            streams: TaskTracker::new(),
            held_bytes: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            trust: Trust::default(),
            flow: config
                .setup
                .as_ref()
                .and_then(|setup| setup.flows.clone())
                .map(Flow::new),
            rosters: Rosters::default(),
            started: Instant::now(),
            config,
            fleet,
        })
    }

    /// The picker's clock.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// A member as a profile, or the measure of saturation, sees it.
    pub(crate) fn endpoint(&self, member: &Member, candidate: Candidate) -> Endpoint {
        let id = member.replica.id;
        Endpoint {
            pod: Arc::clone(&member.pod),
            candidate,
            adapters: Arc::clone(&member.replica.status().adapters),
            in_flight: self.scheduler.in_flight(id),
            in_flight_tokens: self.scheduler.queued_tokens(self.now(), id),
        }
    }

    /// How the pool's load is measured.
    pub(crate) fn saturation(&self) -> Saturation {
        let setup = self.config.setup.as_deref();
        let saturation = setup.map(|setup| setup.saturation).unwrap_or_default();
        saturation.heard_every(self.config.load_interval_max)
    }

    /// The endpoints as they are now.
    pub(crate) fn roster(&self) -> Guard<Arc<Roster>> {
        self.rosters
            .now(&self.fleet, self.config.pods.as_ref(), |gone| {
                self.scheduler.forget(gone.replica.id);
            })
    }

    /// Whether requests would be picked for: an endpoint is up, and the picker is not about to stop.
    pub(crate) fn is_ready(&self) -> bool {
        !self.stopping.load(Relaxed) && !self.roster().well().members.is_empty()
    }
}
