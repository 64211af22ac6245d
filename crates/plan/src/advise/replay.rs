//! The picks that were made, made again.

use super::Asked;
use crate::{
    policy::{self, Question, Route, Seat},
    sim::Config,
};
use onefill_schedule::Policy;
use std::time::Duration;

struct Replay {
    picks: Vec<usize>,
}

impl Route for Replay {
    fn route(&mut self, _: Duration, question: &Question<'_>, seats: &[Seat]) -> usize {
        let pick = self.picks.get(question.number as usize);
        pick.copied().unwrap_or(0).min(seats.len() - 1)
    }

    fn first_byte(&mut self, _: Duration, _: u32) {}

    fn finished(&mut self, _: Duration, _: u32) {}
}

/// Replicas of a record, by their place among those that it names.
pub(super) fn replicas(asked: Asked<'_>) -> Vec<u16> {
    let Asked::Record(recorded) = asked else {
        return Vec::new();
    };
    let mut all: Vec<u16> = recorded.entries.iter().map(|entry| entry.replica).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// A route that picks what was picked; in turn where that is not known.
pub(super) fn route(asked: Asked<'_>, config: &Config) -> Box<dyn Route> {
    let Asked::Record(recorded) = asked else {
        let block_tokens = asked.trace().block_tokens;
        return policy::Name::Ours(Policy::RoundRobin).build(&config.shape, block_tokens, 1);
    };
    let replicas = replicas(asked);
    let place = |entry: &onefill_record::Entry| replicas.partition_point(|id| *id < entry.replica);
    Box::new(Replay {
        picks: recorded.entries.iter().map(place).collect(),
    })
}
