//! Who is there.

use crate::{
    door::DoorError,
    ledger::{Counter, Door},
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Why connections end by a fault; the names that [`DoorError::name`] gives, and those turned away.
const FAULTS: [&str; 6] = ["cut", "stalled", "protocol", "tls", "io", "too_many"];

/// Open connections, and what became of others.
#[derive(Debug)]
pub struct Connections {
    most: usize,
    open: [AtomicUsize; Door::ALL.len()],
    opened: [Counter; Door::ALL.len()],
    faults: [Counter; FAULTS.len()],
}

impl Connections {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            open: Default::default(),
            opened: Default::default(),
            faults: Default::default(),
        }
    }

    /// Open ones of a door.
    #[must_use]
    pub fn open(&self, door: Door) -> usize {
        self.open[door as usize].load(Ordering::Relaxed)
    }

    /// All that a door took, ever.
    #[must_use]
    pub fn opened(&self, door: Door) -> &Counter {
        &self.opened[door as usize]
    }

    /// Those that ended by a fault, by its name.
    pub fn faults(&self) -> impl Iterator<Item = (&'static str, &Counter)> {
        FAULTS.into_iter().zip(&self.faults)
    }

    fn fault(&self, name: &str) {
        if let Some((_, counter)) = self.faults().find(|(fault, _)| *fault == name) {
            counter.increment();
        }
    }

    /// A place for one more; `None` where there is none.
    pub(crate) fn enter(self: &Arc<Self>, door: Door) -> Option<Place> {
        self.open[door as usize].fetch_add(1, Ordering::Relaxed);
        let place = Place {
            connections: Arc::clone(self),
            door,
        };
        let all: usize = Door::ALL.into_iter().map(|door| self.open(door)).sum();
        if all > self.most {
            self.fault("too_many");
            return None;
        }
        self.opened[door as usize].increment();
        Some(place)
    }

    /// How one ended.
    pub(crate) fn ended(&self, outcome: Result<(), DoorError>) {
        if let Err(error) = outcome {
            tracing::debug!(%error, "a connection ended");
            self.fault(error.name());
        }
    }
}

/// An open connection's place, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    connections: Arc<Connections>,
    door: Door,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.open[self.door as usize].fetch_sub(1, Ordering::Relaxed);
    }
}
