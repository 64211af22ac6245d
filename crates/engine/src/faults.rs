//! Faults on demand: what a replica does wrong, and how often still.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::Instant;

/// What is asked for, as JSON of `POST /fault`; what is left out stays as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Events are numbered and kept for replay, but not sent.
    pub silence: Option<bool>,
    /// So many next batches are not sent; a replay has them.
    pub drop_batches: Option<u64>,
    /// So many next batches are neither sent nor kept.
    pub lose_batches: Option<u64>,
    /// The process "restarts": an empty cache, numbers from 0, a new start time; answers break off.
    #[serde(default)]
    pub restart: bool,
    /// Every path answers 503 for so long, in milliseconds (a slow start).
    pub unavailable_ms: Option<u64>,
    /// Connections are closed at once for so long, in milliseconds (nobody listens yet).
    pub refuse_ms: Option<u64>,
    /// So many next requests for tokens are answered 500.
    pub errors_500: Option<u64>,
    /// So many next requests for tokens are answered 503.
    pub errors_503: Option<u64>,
    /// So many next streams break off after their first token.
    pub cut_streams: Option<u64>,
}

/// What becomes of a batch of events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Sent,
    /// Only a replay has it.
    Kept,
    Lost,
}

/// What is wrong now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    silence: bool,
    drop_batches: u64,
    lose_batches: u64,
    unavailable_until: Option<Instant>,
    refuse_until: Option<Instant>,
    errors_500: u64,
    errors_503: u64,
    cut_streams: u64,
}

impl Faults {
    /// Takes what was asked for; `restart` is the replica's own to do.
    pub(crate) fn take(&mut self, order: &Order, now: Instant) {
        let until = |ms: u64| (ms > 0).then(|| now + Duration::from_millis(ms));
        set(&mut self.silence, order.silence);
        set(&mut self.drop_batches, order.drop_batches);
        set(&mut self.lose_batches, order.lose_batches);
        set(&mut self.errors_500, order.errors_500);
        set(&mut self.errors_503, order.errors_503);
        set(&mut self.cut_streams, order.cut_streams);
        set(&mut self.unavailable_until, order.unavailable_ms.map(until));
        set(&mut self.refuse_until, order.refuse_ms.map(until));
    }

    /// What is left to do wrong, in the words of an order.
    pub(crate) fn left(&self, now: Instant) -> Order {
        let left_ms = |until: Option<Instant>| {
            let left = until.map(|until| until.saturating_duration_since(now));
            left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX))
        };
        Order {
            silence: Some(self.silence),
            drop_batches: Some(self.drop_batches),
            lose_batches: Some(self.lose_batches),
            restart: false,
            unavailable_ms: left_ms(self.unavailable_until).or(Some(0)),
            refuse_ms: left_ms(self.refuse_until).or(Some(0)),
            errors_500: Some(self.errors_500),
            errors_503: Some(self.errors_503),
            cut_streams: Some(self.cut_streams),
        }
    }

    pub(crate) fn next_batch(&mut self) -> Fate {
        if spend(&mut self.lose_batches) {
            Fate::Lost
        } else if spend(&mut self.drop_batches) || self.silence {
            Fate::Kept
        } else {
            Fate::Sent
        }
    }

    /// The status with which the next request for tokens is refused.
    pub(crate) fn next_error(&mut self) -> Option<u16> {
        let broken = spend(&mut self.errors_500).then_some(500);
        broken.or_else(|| spend(&mut self.errors_503).then_some(503))
    }

    pub(crate) fn next_stream_breaks(&mut self) -> bool {
        spend(&mut self.cut_streams)
    }

    pub(crate) fn is_unavailable(&self, now: Instant) -> bool {
        self.unavailable_until.is_some_and(|until| now < until)
    }

    pub(crate) fn refuses(&self, now: Instant) -> bool {
        self.refuse_until.is_some_and(|until| now < until)
    }
}

fn set<T>(to: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *to = value;
    }
}

fn spend(left: &mut u64) -> bool {
    let some = *left > 0;
    *left = left.saturating_sub(1);
    some
}
