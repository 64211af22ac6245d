//! How long and how many requests may wait, as `flowControl` says. Defaults are the reference's.

use super::queues::Used;
use std::{collections::BTreeMap, time::Duration};

/// Most that may wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// Requests.
    pub requests: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
}

impl Room {
    /// No bound.
    pub const ENDLESS: Self = Self {
        requests: u64::MAX,
        bytes: u64::MAX,
    };

    pub(crate) fn has(&self, used: Used) -> bool {
        used.requests <= self.requests && used.bytes <= self.bytes
    }
}

/// Whose turn it is among flows of one priority.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fairness {
    /// Whoever came first: `global-strict-fairness-policy`.
    #[default]
    Strict,
    /// One flow after the other: `round-robin-fairness-policy`.
    RoundRobin,
}

/// Requests of one priority.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Band {
    /// How many may wait.
    pub room: Room,
    /// In which order.
    pub fairness: Fairness,
}

impl Default for Band {
    fn default() -> Self {
        Self {
            room: Room {
                requests: 5000,
                bytes: 1_000_000_000,
            },
            fairness: Fairness::Strict,
        }
    }
}

/// Flow control.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flows {
    /// Of all priorities together.
    pub room: Room,
    /// How long a request may wait while the pool has endpoints; `None`: as long as its client does.
    pub ttl: Option<Duration>,
    /// And while it has none.
    pub ttl_empty: Option<Duration>,
    /// Of priorities that `bands` does not name.
    pub band: Band,
    /// Of those under 0 that it does not name.
    pub negative: Option<Band>,
    /// By priority.
    pub bands: BTreeMap<i32, Band>,
}

impl Default for Flows {
    fn default() -> Self {
        Self {
            room: Room::ENDLESS,
            ttl: Some(Duration::from_secs(60)),
            ttl_empty: Some(Duration::from_secs(60)),
            band: Band::default(),
            negative: None,
            bands: BTreeMap::new(),
        }
    }
}

impl Flows {
    pub(crate) fn band(&self, priority: i32) -> Band {
        let named = self.bands.get(&priority).copied();
        let negative = self.negative.filter(|_| priority < 0);
        named.or(negative).unwrap_or(self.band)
    }
}
