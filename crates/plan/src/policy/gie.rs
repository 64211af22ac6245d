//! The default profile of the Gateway API's endpoint picker and of llm-d's:
//!
//! ```text
//! score = 2 x (longest queue - queue) / (longest - shortest)      all equal: 1
//!       + 2 x (1 - KV cache usage)
//!       + 3 x matched blocks / blocks                             what it sent there itself
//! ```
//!
//! The highest wins, ties at random. What it sent is remembered in an LRU for each replica, in
//! blocks of at least 64 tokens but as many as the engine has blocks (of 16): four times too many.

use super::{Question, Route, Seat};
use crate::{random::Random, sim::Shape};
use onefill_index::History;
use std::time::Duration;

const QUEUE_WEIGHT: f64 = 2.0;
const USAGE_WEIGHT: f64 = 2.0;
const PREFIX_WEIGHT: f64 = 3.0;
/// Blocks of 64 tokens counted as if they had the engine's 16.
const OVERSIZE: u64 = 4;
/// `maxPrefixTokensToMatch`.
const MATCH_TOKENS_MAX: usize = 131_072;

pub(super) struct Gie {
    histories: Vec<History>,
    random: Random,
}

impl Gie {
    pub(super) fn new(fleet: &Shape, block_tokens: u32, seed: u64) -> Self {
        let blocks = OVERSIZE * fleet.gpu_tokens / u64::from(block_tokens.max(1));
        let history = |_| History::new(blocks as usize);
        Self {
            histories: (0..fleet.replicas).map(history).collect(),
            random: Random::new(seed),
        }
    }
}

/// One replica's score.
fn score(matched: f64, seat: &Seat, queues: (u32, u32)) -> f64 {
    let (shortest, longest) = queues;
    let queue = match longest - shortest {
        0 => 1.0,
        range => f64::from(longest - seat.load.waiting) / f64::from(range),
    };
    let usage = 1.0 - f64::from(seat.load.kv_usage).clamp(0.0, 1.0);
    QUEUE_WEIGHT * queue + USAGE_WEIGHT * usage + PREFIX_WEIGHT * matched.clamp(0.0, 1.0)
}

impl Route for Gie {
    fn route(&mut self, now: Duration, question: &Question<'_>, seats: &[Seat]) -> usize {
        let most = MATCH_TOKENS_MAX / question.block_tokens.max(1) as usize;
        let chain = question.chain.get(..most).unwrap_or(&question.chain);
        let queues = seats.iter().map(|seat| seat.load.waiting);
        let queues = queues.fold((u32::MAX, 0), |(least, most), queue| {
            (least.min(queue), most.max(queue))
        });
        let mut best = (f64::NEG_INFINITY, 0, 0);
        for (place, seat) in seats.iter().enumerate() {
            let matched = f64::from(self.histories[place].overlap(chain));
            let matched = matched / chain.len().max(1) as f64;
            let score = score(matched, seat, queues);
            let ticket = self.random.number();
            if score > best.0 || (score == best.0 && ticket > best.1) {
                best = (score, ticket, place);
            }
        }
        let (_, _, place) = best;
        self.histories[place].touch(chain, now);
        place
    }

    fn first_byte(&mut self, _: Duration, _: u32) {}

    fn finished(&mut self, _: Duration, _: u32) {}
}

#[cfg(test)]
mod tests;
