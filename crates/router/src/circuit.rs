//! One replica's circuit: failures in a row open it, after a while one request may try.
//!
//! closed --failures--> open --after `open`--> half-open (one request) --ok--> closed, --failed--> open

use crate::config::CircuitLimits;
use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// What the circuit says of a request that comes now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Gate {
    /// Requests may pass.
    Closed,
    /// None may.
    Open,
    /// One may, and decides.
    HalfOpen,
}

impl Gate {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// State without locks: a race costs one probe more, never a stuck circuit.
#[derive(Debug, Default)]
pub(crate) struct Circuit {
    failures: AtomicU32,
    /// When the next probe may pass, in milliseconds of the router's clock; 0: closed.
    probe_at_ms: AtomicU64,
}

impl Circuit {
    /// What it says now, without taking the probe.
    pub(crate) fn gate(&self, now: Duration) -> Gate {
        match self.probe_at_ms.load(Relaxed) {
            0 => Gate::Closed,
            at if millis(now) >= at => Gate::HalfOpen,
            _ => Gate::Open,
        }
    }

    /// A request goes there: in half-open state it is the probe, and others wait for it.
    pub(crate) fn enter(&self, now: Duration, limits: &CircuitLimits) {
        if self.gate(now) == Gate::HalfOpen {
            self.probe_at_ms
                .store(millis(now + limits.open).max(1), Relaxed);
        }
    }

    /// An answer came. True if this closed the circuit.
    pub(crate) fn succeeded(&self) -> bool {
        // Reads first: the usual case writes nothing that other threads read.
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
        self.probe_at_ms.load(Relaxed) != 0 && self.probe_at_ms.swap(0, Relaxed) != 0
    }

    /// None came. True if this opened the circuit.
    pub(crate) fn failed(&self, now: Duration, limits: &CircuitLimits) -> bool {
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        if failures < limits.failures {
            return false;
        }
        self.probe_at_ms
            .swap(millis(now + limits.open).max(1), Relaxed)
            == 0
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
