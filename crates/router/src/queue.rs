//! How many requests are answered at once, and how many may wait for that.

use crate::{error::Cause, metrics::Metrics};
use prometheus_client::metrics::gauge::Gauge;
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Two bounds: in flight, and waiting.
#[derive(Debug)]
pub(crate) struct Queue {
    places: Arc<Semaphore>,
    waiting: Semaphore,
}

/// A place among those in flight, until dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    in_flight: Gauge,
}

impl Queue {
    pub(crate) fn new(in_flight_max: usize, queue_max: usize) -> Self {
        let bound = |count: usize| count.min(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(bound(in_flight_max))),
            waiting: Semaphore::new(bound(queue_max)),
        }
    }

    /// A place, at once or after a wait in order of arrival.
    pub(crate) async fn enter(
        &self,
        patience: Duration,
        metrics: &Metrics,
    ) -> Result<Place, Cause> {
        let place = |permit| {
            metrics.in_flight.inc();
            Place {
                _permit: permit,
                in_flight: metrics.in_flight.clone(),
            }
        };
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place(permit));
        }
        let _waiting = self.waiting.try_acquire().map_err(|_| Cause::QueueFull)?;
        let _counted = Counted::new(&metrics.queued);
        let wait = Arc::clone(&self.places).acquire_owned();
        match tokio::time::timeout(patience, wait).await {
            Ok(Ok(permit)) => Ok(place(permit)),
            Ok(Err(_)) | Err(_) => Err(Cause::QueueTimeout),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.in_flight.dec();
    }
}

/// Counts in a gauge while it lives.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Counted {
    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
