//! What all requests share.

use crate::{
    config::Config,
    dice::Dice,
    metrics::Metrics,
    roster::{Roster, Rosters},
};
use arc_swap::Guard;
use onefill_fleet::{FleetHandle, Health};
use onefill_question::Trust;
use onefill_schedule::Scheduler;
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
    rosters: Rosters,
    started: Instant,
}

impl App {
    pub(crate) fn new(config: Config, fleet: FleetHandle) -> Arc<Self> {
        Arc::new(Self {
            scheduler: Scheduler::new(config.policy, config.seed.0),
            metrics: Metrics::new(),
            dice: Dice::default(),
            streams: TaskTracker::new(),
            held_bytes: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            trust: Trust::default(),
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

    /// The endpoints as they are now.
    pub(crate) fn roster(&self) -> Guard<Arc<Roster>> {
        self.rosters
            .now(&self.fleet, self.config.pods.as_ref(), |gone| {
                self.scheduler.forget(gone.replica.id);
            })
    }

    /// Whether requests would be picked for: an endpoint is up, and the picker is not about to stop.
    pub(crate) fn is_ready(&self) -> bool {
        let up = |health| matches!(health, Health::Up);
        !self.stopping.load(Relaxed)
            && self
                .roster()
                .members
                .iter()
                .any(|member| up(member.replica.status().health))
    }
}
