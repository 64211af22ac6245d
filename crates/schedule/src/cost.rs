//! The cost of a candidate, in seconds, term by term. See docs/cost.md.

use crate::{Ask, Candidate, book::Book};
use std::time::Duration;

/// A token computed though another replica holds it, or stored where a block must leave for it,
/// costs whoever comes after as well: so much of its own time again.
const WASTE_WEIGHT: f64 = 1.0;
/// Share of evicted blocks that somebody would have asked for again.
const REUSE_PROBABILITY: f64 = 0.5;
/// Share of the work given lately by which replicas are kept even; small, it decides near ties.
const BALANCE_WEIGHT: f64 = 0.1;
/// Time that one request in flight adds to another: its share of every engine step.
const STEP_SHARE_S: f64 = 0.004;
/// Bytes from a lower tier come so many times faster than computing, until measured.
const TIER_SPEEDUP: [f64; 4] = [f64::INFINITY, 20.0, 8.0, 5.0];

/// The terms of one candidate's cost, in seconds, and the tokens they come from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms {
    /// Tokens that the replica reports as cached, as far as is known.
    pub(crate) overlap_tokens: u32,
    /// Tokens that it holds or will soon, siblings in flight counted.
    pub(crate) predicted_tokens: u32,
    /// Tokens to compute.
    pub(crate) uncached_tokens: u32,
    /// Tokens queued before this request.
    pub(crate) queued_tokens: f64,
    /// Waiting for prefills ahead.
    pub(crate) queue_s: f64,
    /// Computing what is not cached.
    pub(crate) prefill_s: f64,
    /// Loading what lies in lower tiers.
    pub(crate) transfer_s: f64,
    /// Sharing steps with running requests.
    pub(crate) decode_s: f64,
    /// Computing what another replica holds.
    pub(crate) waste_s: f64,
    /// Evicting what others will ask for.
    pub(crate) pressure_s: f64,
    /// Work given to it lately.
    pub(crate) balance_s: f64,
}

impl Terms {
    /// The sum.
    pub(crate) fn cost_s(&self) -> f64 {
        self.queue_s
            + self.prefill_s
            + self.transfer_s
            + self.decode_s
            + self.waste_s
            + self.pressure_s
            + self.balance_s
    }

    /// Named, for people.
    pub(crate) fn named(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("overlap_tokens", f64::from(self.overlap_tokens)),
            ("predicted_tokens", f64::from(self.predicted_tokens)),
            ("uncached_tokens", f64::from(self.uncached_tokens)),
            ("queued_tokens", self.queued_tokens),
            ("queue_s", self.queue_s),
            ("prefill_s", self.prefill_s),
            ("transfer_s", self.transfer_s),
            ("decode_s", self.decode_s),
            ("waste_s", self.waste_s),
            ("pressure_s", self.pressure_s),
            ("balance_s", self.balance_s),
        ]
    }
}

/// Tokens of `blocks` leading blocks that an engine would take from its cache: it computes at
/// least the prompt's last token.
fn cached_tokens(ask: &Ask, blocks: u32) -> u32 {
    let most = ask.prompt_tokens.saturating_sub(1) / ask.block_tokens.max(1);
    blocks.min(most) * ask.block_tokens
}

/// The terms of every candidate.
pub(crate) fn weigh(book: &Book, now: Duration, ask: &Ask, candidates: &[Candidate]) -> Vec<Terms> {
    let mut all: Vec<Terms> = candidates
        .iter()
        .map(|each| own_terms(book, now, ask, each))
        .collect();
    let best_tokens = all
        .iter()
        .map(|terms| terms.predicted_tokens)
        .max()
        .unwrap_or(0);
    let works: Vec<f64> = candidates
        .iter()
        .map(|each| book.seen(each.replica).work_tokens(now))
        .collect();
    let least_work = works.iter().copied().fold(f64::INFINITY, f64::min);
    for ((terms, candidate), work) in all.iter_mut().zip(candidates).zip(works) {
        let s_per_token = book.seen(candidate.replica).prefill_s_per_token;
        let wasted = best_tokens.saturating_sub(terms.predicted_tokens);
        terms.waste_s = WASTE_WEIGHT * f64::from(wasted) * s_per_token;
        terms.balance_s = BALANCE_WEIGHT * (work - least_work) * s_per_token;
    }
    all
}

/// The terms that concern the candidate alone.
fn own_terms(book: &Book, now: Duration, ask: &Ask, candidate: &Candidate) -> Terms {
    let seen = book.seen(candidate.replica);
    let s_per_token = seen.prefill_s_per_token;
    let overlap_tokens = cached_tokens(ask, candidate.overlap.blocks());
    let siblings = book.predicted_blocks(now, candidate.replica, &ask.chain);
    let predicted_tokens = overlap_tokens.max(cached_tokens(ask, siblings));
    let uncached_tokens = ask.prompt_tokens - predicted_tokens.min(ask.prompt_tokens);
    // Others' requests, which this router's book does not have: as long as this one.
    let load = candidate.load;
    let reported = load.running + load.waiting;
    let foreign = f64::from(reported.saturating_sub(seen.in_flight).min(load.waiting));
    let queued_tokens = seen.pending_tokens + foreign * f64::from(ask.prompt_tokens) * 0.5;
    Terms {
        overlap_tokens,
        predicted_tokens,
        uncached_tokens,
        queued_tokens,
        queue_s: queued_tokens * s_per_token,
        prefill_s: f64::from(uncached_tokens) * s_per_token,
        transfer_s: transfer_s(ask, candidate, s_per_token),
        decode_s: f64::from(seen.in_flight.max(load.running)) * STEP_SHARE_S,
        pressure_s: pressure_s(ask, candidate, uncached_tokens, s_per_token),
        ..Terms::default()
    }
}

fn transfer_s(ask: &Ask, candidate: &Candidate, s_per_token: f64) -> f64 {
    use onefill_kv::Tier;
    let loaded = |tier: Tier| {
        let blocks = f64::from(candidate.overlap.from_tier(tier));
        blocks * f64::from(ask.block_tokens) * s_per_token / TIER_SPEEDUP[tier as usize]
    };
    [Tier::Cpu, Tier::Disk, Tier::Remote]
        .into_iter()
        .map(loaded)
        .sum()
}

/// Blocks that must leave, by the chance that they are asked for again.
fn pressure_s(ask: &Ask, candidate: &Candidate, uncached_tokens: u32, s_per_token: f64) -> f64 {
    let load = candidate.load;
    if load.capacity_blocks == 0 {
        return 0.0;
    }
    let output = ask.output_tokens_max.unwrap_or(0).min(uncached_tokens);
    let new_blocks = (uncached_tokens + output).div_ceil(ask.block_tokens.max(1));
    let free = load.capacity_blocks.saturating_sub(load.held_blocks);
    let evicted_tokens = f64::from(new_blocks.saturating_sub(free) * ask.block_tokens);
    REUSE_PROBABILITY * evicted_tokens * s_per_token
}
