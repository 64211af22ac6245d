//! Requests that wait for room in the pool: by priority, and within one by whose they are. Pure.

use super::rules::{Band, Fairness, Flows};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque},
    ops::Bound::{Excluded, Unbounded},
    time::Duration,
};

/// Where a request waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// In order of arrival.
    pub(crate) number: u64,
    priority: i32,
    flow: String,
}

/// A request that waits.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    number: u64,
    bytes: u64,
    since: Duration,
}

/// What waits, summed up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Used {
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
}

impl Used {
    fn with(self, bytes: u64) -> Self {
        Self {
            requests: self.requests + 1,
            bytes: self.bytes.saturating_add(bytes),
        }
    }

    fn without(self, bytes: u64) -> Self {
        Self {
            requests: self.requests.saturating_sub(1),
            bytes: self.bytes.saturating_sub(bytes),
        }
    }
}

/// Requests of one priority.
#[derive(Debug)]
struct Line {
    rule: Band,
    used: Used,
    /// None is empty.
    flows: BTreeMap<String, VecDeque<Waiting>>,
    /// Whose turn it was last.
    last: String,
}

impl Line {
    /// Whose turn it is.
    fn turn(&self) -> Option<&str> {
        let heads = || {
            let head = |flow: &VecDeque<Waiting>| flow.front().map(|first| first.number);
            self.flows
                .iter()
                .map(move |(name, flow)| (name, head(flow)))
        };
        let turn = match self.rule.fairness {
            Fairness::Strict => heads().min_by_key(|(_, head)| *head).map(|(name, _)| name),
            Fairness::RoundRobin => {
                let mut after = self
                    .flows
                    .range::<str, _>((Excluded(self.last.as_str()), Unbounded));
                let next = after.next().or_else(|| self.flows.iter().next());
                next.map(|(name, _)| name)
            }
        };
        turn.map(String::as_str)
    }

    /// Takes a request out of a flow, by its place there.
    fn take(&mut self, flow: &str, place: usize) -> Option<Waiting> {
        let line = self.flows.get_mut(flow)?;
        let taken = line.remove(place)?;
        if line.is_empty() {
            self.flows.remove(flow);
        }
        self.used = self.used.without(taken.bytes);
        Some(taken)
    }
}

/// Whether the pool has endpoints, and since when that is so.
#[derive(Clone, Copy, Debug, Default)]
struct Regime {
    empty: bool,
    since: Duration,
}

/// All that wait. Times are of the caller's clock.
#[derive(Debug)]
pub(crate) struct Queues {
    rules: Flows,
    lines: BTreeMap<Reverse<i32>, Line>,
    used: Used,
    next: u64,
    regime: Regime,
}

impl Queues {
    pub(crate) fn new(rules: Flows) -> Self {
        Self {
            rules,
            lines: BTreeMap::new(),
            used: Used::default(),
            next: 0,
            regime: Regime::default(),
        }
    }

    pub(crate) fn used(&self) -> Used {
        self.used
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.used.requests == 0
    }

    /// Puts a request behind others of its flow; `None` where there is no room for it.
    pub(crate) fn enter(
        &mut self,
        priority: i32,
        flow: &str,
        bytes: u64,
        now: Duration,
    ) -> Option<Place> {
        let rule = self.rules.band(priority);
        let line = self.lines.entry(Reverse(priority));
        let line = line.or_insert_with(|| Line {
            rule,
            used: Used::default(),
            flows: BTreeMap::new(),
            last: String::new(),
        });
        let (of_line, of_all) = (line.used.with(bytes), self.used.with(bytes));
        if !line.rule.room.has(of_line) || !self.rules.room.has(of_all) {
            return None;
        }
        (line.used, self.used) = (of_line, of_all);
        let number = self.next;
        self.next += 1;
        let waiting = Waiting {
            number,
            bytes,
            since: now,
        };
        line.flows
            .entry(flow.to_owned())
            .or_default()
            .push_back(waiting);
        Some(Place {
            number,
            priority,
            flow: flow.to_owned(),
        })
    }

    /// The next one to be sent on: of the highest priority, and there of the flow whose turn it is. Gives
    /// its number and how long it waited.
    pub(crate) fn next(&mut self, now: Duration) -> Option<(u64, Duration)> {
        let mut lines = self.lines.values_mut();
        let line = lines.find(|line| !line.flows.is_empty())?;
        let flow = line.turn()?.to_owned();
        let taken = line.take(&flow, 0)?;
        line.last = flow;
        self.used = self.used.without(taken.bytes);
        Some((taken.number, now.saturating_sub(taken.since)))
    }

    /// Takes out one that does not wait any more; false where it was not there.
    pub(crate) fn leave(&mut self, place: &Place) -> bool {
        let Some(line) = self.lines.get_mut(&Reverse(place.priority)) else {
            return false;
        };
        let found = line.flows.get(&place.flow).and_then(|flow| {
            // Numbers ascend within a flow.
            flow.binary_search_by_key(&place.number, |waiting| waiting.number)
                .ok()
        });
        let taken = found.and_then(|at| line.take(&place.flow, at));
        if let Some(taken) = taken {
            self.used = self.used.without(taken.bytes);
        }
        taken.is_some()
    }

    /// Takes out those that have waited too long, while the pool is as told. A pool that was empty or is so
    /// from now on begins the time anew, within the longer of the two times.
    pub(crate) fn expired(&mut self, empty: bool, now: Duration) -> Vec<u64> {
        if empty != self.regime.empty {
            self.regime = Regime { empty, since: now };
        }
        let rules = &self.rules;
        let ttl = if empty { rules.ttl_empty } else { rules.ttl };
        let Some(ttl) = ttl else { return Vec::new() };
        let most = rules
            .ttl
            .zip(rules.ttl_empty)
            .map(|(one, other)| one.max(other));
        let begun = self.regime.since;
        let late = |waiting: &Waiting| {
            let fresh = waiting.since.max(begun) + ttl;
            let end = most.map_or(fresh, |most| fresh.min(waiting.since + most));
            now >= end
        };
        let mut found = Vec::new();
        for line in self.lines.values_mut() {
            // Who came first in a flow is late first.
            while let Some(flow) = line.flows.iter().find_map(|(name, flow)| {
                let first = flow.front().filter(|first| late(first));
                first.map(|_| name.clone())
            }) {
                if let Some(taken) = line.take(&flow, 0) {
                    self.used = self.used.without(taken.bytes);
                    found.push(taken.number);
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests;
