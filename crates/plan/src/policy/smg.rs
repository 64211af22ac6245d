//! smg's `cache_aware`, from its published rules:
//!
//! ```text
//! match ratio > 0.3         the least loaded of the replicas with the longest overlap, unless
//!   its load > mean + min(32, max(4, sqrt(mean)))  and  > 1.1 x mean        then it is spilled
//! otherwise, or spilled     the least expected wait:
//!                           (queued + dispatched tokens) / throughput + 0.15 s x k / (1 - k)
//! ```
//!
//! Loads are requests in flight by its own count, k the KV cache's usage, throughput the prefill
//! rate. It is given the exact index here, which its event mode has.

use super::{Question, Route, Seat};
use hashbrown::HashMap;
use std::time::Duration;

/// `cache_threshold` of the command line.
const MATCH_RATIO: f64 = 0.3;
const SPILL_ABSOLUTE: f64 = 32.0;
/// Smallest excess that is no chance.
const SWING_MIN: f64 = 4.0;
const SPILL_RELATIVE: f64 = 1.1;
const USAGE_S: f64 = 0.15;
/// Of a replica that was never measured.
const THROUGHPUT: f64 = 10_000.0;

#[derive(Clone, Copy, Default)]
struct Booked {
    requests: u32,
    tokens: f64,
}

pub(super) struct Smg {
    booked: Vec<Booked>,
    sent: HashMap<u32, (usize, f64)>,
}

impl Smg {
    pub(super) fn new(replicas: usize) -> Self {
        Self {
            booked: vec![Booked::default(); replicas],
            sent: HashMap::new(),
        }
    }

    fn mean(&self) -> f64 {
        let requests: u32 = self.booked.iter().map(|booked| booked.requests).sum();
        f64::from(requests) / self.booked.len().max(1) as f64
    }

    /// The replica that holds most, if it holds enough and is not too busy.
    fn holder(&self, question: &Question<'_>, seats: &[Seat]) -> Option<usize> {
        let most = seats.iter().map(|seat| seat.overlap.depth[0]).max()?;
        let prompt = f64::from(question.request.prompt_tokens.max(1));
        let ratio = f64::from(most * question.block_tokens) / prompt;
        if ratio <= MATCH_RATIO {
            return None;
        }
        let holds = |place: &usize| seats[*place].overlap.depth[0] == most;
        let holders = (0..seats.len()).filter(holds);
        let holder = holders.min_by_key(|place| self.booked[*place].requests)?;
        let load = f64::from(self.booked[holder].requests);
        (!is_spilled(load, self.mean())).then_some(holder)
    }
}

fn is_spilled(load: f64, mean: f64) -> bool {
    let swing = mean.sqrt().clamp(SWING_MIN, SPILL_ABSOLUTE);
    load > mean + swing && load > SPILL_RELATIVE * mean
}

fn wait_s(tokens: f64, usage: f64) -> f64 {
    let usage = usage.clamp(0.0, 0.999);
    tokens / THROUGHPUT + USAGE_S * usage / (1.0 - usage)
}

impl Route for Smg {
    fn route(&mut self, _: Duration, question: &Question<'_>, seats: &[Seat]) -> usize {
        let wait = |place: usize| {
            let usage = f64::from(seats[place].load.kv_usage);
            wait_s(self.booked[place].tokens, usage)
        };
        let least = || (0..seats.len()).min_by(|a, b| wait(*a).total_cmp(&wait(*b)));
        let replica = self.holder(question, seats).or_else(least).unwrap_or(0);
        let cached = seats[replica].overlap.depth[0] * question.block_tokens;
        let tokens = question.request.prompt_tokens.saturating_sub(cached);
        let booked = &mut self.booked[replica];
        booked.requests += 1;
        booked.tokens += f64::from(tokens);
        let sent = (replica, f64::from(tokens));
        self.sent.insert(question.number, sent);
        replica
    }

    fn first_byte(&mut self, _: Duration, number: u32) {
        if let Some((replica, tokens)) = self.sent.get_mut(&number) {
            self.booked[*replica].tokens -= std::mem::take(tokens);
        }
    }

    fn finished(&mut self, now: Duration, number: u32) {
        self.first_byte(now, number);
        if let Some((replica, _)) = self.sent.remove(&number) {
            self.booked[replica].requests -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
