//! Dynamo's KV router, from its published cost:
//!
//! ```text
//! logit  = max(0, (prefill tokens in flight + prompt tokens) / block - credit) + decode blocks
//! credit = blocks on the GPU + 0.75 x host + 0.25 x disk + 0.5 x shared beyond those
//! ```
//!
//! The lowest wins, ties at random (temperature 0). Prefill tokens in flight are those that were
//! not cached when the request was sent; decode blocks are the distinct blocks of requests in
//! flight, this one counted.

use super::{Question, Route, Seat};
use crate::random::Random;
use hashbrown::HashMap;
use onefill_kv::{Overlap, Tier};
use std::time::Duration;

/// Credit of a block by its tier.
const CREDIT: [(Tier, f64); 4] = [
    (Tier::Gpu, 1.0),
    (Tier::Cpu, 0.75),
    (Tier::Disk, 0.25),
    (Tier::Remote, 0.5),
];

/// One replica's book.
#[derive(Default)]
struct Active {
    prefill_tokens: f64,
    /// Requests in flight by the blocks they use.
    blocks: HashMap<u32, u32>,
}

struct Sent {
    replica: usize,
    prefill_tokens: f64,
    blocks: Box<[u32]>,
}

pub(super) struct Dynamo {
    active: Vec<Active>,
    sent: HashMap<u32, Sent>,
    random: Random,
}

impl Dynamo {
    pub(super) fn new(replicas: usize, seed: u64) -> Self {
        Self {
            active: (0..replicas).map(|_| Active::default()).collect(),
            sent: HashMap::new(),
            random: Random::new(seed),
        }
    }
}

fn credit(overlap: Overlap) -> f64 {
    let of = |(tier, weight): (Tier, f64)| weight * f64::from(overlap.from_tier(tier));
    CREDIT.into_iter().map(of).sum()
}

fn logit(prefill_tokens: f64, block_tokens: u32, credit: f64, decode_blocks: f64) -> f64 {
    (prefill_tokens / f64::from(block_tokens.max(1)) - credit).max(0.0) + decode_blocks
}

impl Route for Dynamo {
    fn route(&mut self, _: Duration, question: &Question<'_>, seats: &[Seat]) -> usize {
        let prompt = f64::from(question.request.prompt_tokens);
        let mut best = (f64::INFINITY, 0, 0);
        for (place, (seat, active)) in seats.iter().zip(&self.active).enumerate() {
            let is_new = |block: &&u32| !active.blocks.contains_key(*block);
            let new = question.request.blocks.iter().filter(is_new).count();
            let logit = logit(
                active.prefill_tokens + prompt,
                question.block_tokens,
                credit(seat.overlap),
                (active.blocks.len() + new) as f64,
            );
            let ticket = self.random.number();
            if logit < best.0 || (logit == best.0 && ticket > best.1) {
                best = (logit, ticket, place);
            }
        }
        let (_, _, replica) = best;
        let cached = seats[replica].overlap.depth[0] * question.block_tokens;
        let prefill_tokens = (prompt - f64::from(cached)).max(0.0);
        let active = &mut self.active[replica];
        active.prefill_tokens += prefill_tokens;
        for block in &question.request.blocks {
            *active.blocks.entry(*block).or_default() += 1;
        }
        let sent = Sent {
            replica,
            prefill_tokens,
            blocks: question.request.blocks.clone(),
        };
        self.sent.insert(question.number, sent);
        replica
    }

    fn first_byte(&mut self, _: Duration, number: u32) {
        if let Some(sent) = self.sent.get_mut(&number) {
            let active = &mut self.active[sent.replica];
            active.prefill_tokens -= std::mem::take(&mut sent.prefill_tokens);
        }
    }

    fn finished(&mut self, now: Duration, number: u32) {
        self.first_byte(now, number);
        let Some(sent) = self.sent.remove(&number) else {
            return;
        };
        let blocks = &mut self.active[sent.replica].blocks;
        for block in &sent.blocks {
            if let Some(uses) = blocks.get_mut(block) {
                *uses -= 1;
                if *uses == 0 {
                    blocks.remove(block);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
