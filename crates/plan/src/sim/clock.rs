//! What happens when: a heap of events, ties in the order in which they were made.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

/// What happens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Event {
    /// A request comes.
    Arrival(u32),
    /// A replica's prefill or step is over.
    Worked(u16),
    /// A replica's next request has been loaded.
    Loaded(u16),
    /// The index hears of the oldest change not heard of.
    Heard,
}

#[derive(Debug, Default)]
pub(super) struct Clock {
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    made: u64,
    pub(super) now: Duration,
}

impl Clock {
    pub(super) fn at(&mut self, when: Duration, event: Event) {
        self.made += 1;
        self.events.push(Reverse((when, self.made, event)));
    }

    pub(super) fn after(&mut self, seconds: f64, event: Event) {
        self.at(self.now + Duration::from_secs_f64(seconds.max(0.0)), event);
    }

    pub(super) fn next(&mut self) -> Option<Event> {
        let Reverse((when, _, event)) = self.events.pop()?;
        self.now = when;
        Some(event)
    }
}
