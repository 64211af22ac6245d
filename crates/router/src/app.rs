//! What all requests share.

use crate::{
    check::Drift,
    config::Config,
    metrics::Metrics,
    queue::Queue,
    roster::{Roster, Rosters},
    upstream::Connector,
};
use arc_swap::Guard;
use onefill_fleet::FleetHandle;
use onefill_question::Trust;
use onefill_schedule::Scheduler;
use std::{
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

/// What all requests share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) fleet: FleetHandle,
    pub(crate) scheduler: Scheduler,
    pub(crate) metrics: Metrics,
    pub(crate) queue: Queue,
    pub(crate) connector: Connector,
    pub(crate) trust: Trust,
    pub(crate) drift: Drift,
    /// No new requests: the router is about to stop.
    pub(crate) stopping: AtomicBool,
    /// Whether debugging and metrics have an address of their own.
    pub(crate) has_admin: bool,
    rosters: Rosters,
    started: Instant,
}

impl App {
    pub(crate) fn new(config: Config, fleet: FleetHandle, has_admin: bool) -> Arc<Self> {
        let connector = Connector {
            timeouts: config.timeouts,
            tls: config.upstream_tls.clone(),
        };
        Arc::new(Self {
            scheduler: Scheduler::new(config.policy, config.seed.0),
            metrics: Metrics::new(&config),
            queue: Queue::new(config.limits.in_flight_max, config.limits.queue_max),
            connector,
            trust: Trust::default(),
            drift: Drift::default(),
            stopping: AtomicBool::new(false),
            has_admin,
            rosters: Rosters::new(config.threads, config.limits),
            started: Instant::now(),
            config,
            fleet,
        })
    }

    /// The router's clock.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// The fleet as it is now.
    pub(crate) fn roster(&self) -> Guard<Arc<Roster>> {
        self.rosters.now(&self.fleet, &self.metrics, |member| {
            self.scheduler.forget(member.replica.id);
        })
    }

    /// Closes connections that have idled too long, for ever.
    pub(crate) async fn sweep(&self) {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        loop {
            tick.tick().await;
            let (now, idle) = (Instant::now(), self.config.timeouts.upstream_idle);
            self.roster()
                .members
                .iter()
                .for_each(|member| member.pool.sweep(now, idle));
        }
    }
}
