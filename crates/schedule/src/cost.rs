//! The cost of a candidate, in seconds, term by term. See docs/cost.md.

use crate::{Ask, Candidate, book::Book, prefills::Work};
use onefill_kv::Tier;
use std::time::Duration;

/// Work that another replica would be spared delays whoever comes after as well: so much of its own
/// time again.
const WASTE_WEIGHT: f64 = 1.0;
/// Share of evicted blocks that somebody would have asked for again, where they are used most.
const REUSE_PROBABILITY: f64 = 1.0;
/// Differences in idle time below this say nothing.
const IDLE_FLOOR_S: f64 = 0.5;
/// Share of the work given lately by which replicas are kept even; small, it decides near ties.
const BALANCE_WEIGHT: f64 = 0.1;
/// Time that one request in flight adds to another: its share of every engine step.
const STEP_SHARE_S: f64 = 0.004;
/// Tiers that blocks are loaded from.
const LOWER_TIERS: [Tier; 3] = [Tier::Cpu, Tier::Disk, Tier::Remote];

/// The terms of one candidate's cost, in seconds, and the tokens they come from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms {
    /// Tokens that the replica holds, as far as is known.
    pub(crate) held_tokens: u32,
    /// Tokens that it holds or will soon, siblings in flight counted.
    pub(crate) overlap_tokens: u32,
    /// Tokens to compute.
    pub(crate) uncached_tokens: u32,
    /// Tokens to load, by tier.
    pub(crate) loaded_tokens: [f64; 4],
    /// Work before this request.
    pub(crate) queued: Work,
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

    /// What this request adds.
    pub(crate) fn own(&self) -> Work {
        Work {
            seconds: self.own_s(),
            computed_tokens: f64::from(self.uncached_tokens),
            loaded_tokens: self.loaded_tokens,
        }
    }

    fn own_s(&self) -> f64 {
        self.prefill_s + self.transfer_s
    }

    /// Named, for people.
    pub(crate) fn named(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("overlap_tokens", f64::from(self.overlap_tokens)),
            ("held_tokens", f64::from(self.held_tokens)),
            ("uncached_tokens", f64::from(self.uncached_tokens)),
            ("queued_tokens", self.queued.computed_tokens),
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
    let least_idle_s = candidates
        .iter()
        .filter_map(|each| each.load.idle)
        .min()
        .map_or(0.0, |idle| idle.as_secs_f64());
    let predicted = book.predicted(now, &ask.chain);
    let mut all: Vec<Terms> = candidates
        .iter()
        .map(|each| {
            let siblings = predicted.blocks(each.replica);
            own_terms(book, now, ask, each, (siblings, least_idle_s))
        })
        .collect();
    let least_s = all.iter().map(Terms::own_s).fold(f64::INFINITY, f64::min);
    let works: Vec<f64> = candidates
        .iter()
        .map(|each| book.seen(each.replica).work_tokens(now))
        .collect();
    let least_work = works.iter().copied().fold(f64::INFINITY, f64::min);
    let at_hand = |each: &Candidate| cached_tokens(ask, each.overlap.depth[0]);
    // A session stays where it is; a new one goes where least was given.
    let held = candidates.iter().map(at_hand).max().unwrap_or(0);
    let fresh = 1.0 - f64::from(held) / f64::from(ask.prompt_tokens.max(1));
    for ((terms, candidate), work) in all.iter_mut().zip(candidates).zip(works) {
        let seen = book.seen(candidate.replica);
        let s_per_token = book.rates.prefill_s_per_token(&seen.prefill);
        terms.waste_s = WASTE_WEIGHT * (terms.own_s() - least_s);
        terms.balance_s = BALANCE_WEIGHT * fresh * (work - least_work) * s_per_token;
    }
    all
}

/// The terms that concern the candidate alone.
fn own_terms(
    book: &Book,
    now: Duration,
    ask: &Ask,
    candidate: &Candidate,
    (siblings, least_idle_s): (u32, f64),
) -> Terms {
    let seen = book.seen(candidate.replica);
    let s_per_token = book.rates.prefill_s_per_token(&seen.prefill);
    let held = candidate.overlap.blocks();
    let held_tokens = cached_tokens(ask, held);
    let overlap_tokens = held_tokens.max(cached_tokens(ask, siblings));
    let uncached_tokens = ask.prompt_tokens - overlap_tokens.min(ask.prompt_tokens);
    // Others' requests, which this router's book does not have: as long as this one.
    let load = candidate.load;
    let reported = load.running + load.waiting;
    let foreign = f64::from(reported.saturating_sub(seen.in_flight).min(load.waiting));
    let mut queued = seen.queued(now);
    let foreign_tokens = foreign * f64::from(ask.prompt_tokens) * 0.5;
    queued.computed_tokens += foreign_tokens;
    queued.seconds += foreign_tokens * s_per_token;
    Terms {
        held_tokens,
        overlap_tokens,
        uncached_tokens,
        loaded_tokens: loaded_tokens(ask, candidate),
        queued,
        queue_s: queued.seconds,
        prefill_s: f64::from(uncached_tokens) * s_per_token,
        transfer_s: transfer_s(book, ask, candidate),
        decode_s: f64::from(seen.in_flight.max(load.running)) * STEP_SHARE_S,
        pressure_s: evicted_tokens(ask, candidate, uncached_tokens, least_idle_s) * s_per_token,
        ..Terms::default()
    }
}

/// Tokens of the overlap that lie in lower tiers.
fn loaded_tokens(ask: &Ask, candidate: &Candidate) -> [f64; 4] {
    LOWER_TIERS.into_iter().fold([0.0; 4], |mut loaded, tier| {
        let blocks = candidate.overlap.from_tier(tier);
        loaded[tier as usize] = f64::from(blocks) * f64::from(ask.block_tokens);
        loaded
    })
}

fn transfer_s(book: &Book, ask: &Ask, candidate: &Candidate) -> f64 {
    let loaded = loaded_tokens(ask, candidate);
    let seconds = |tier: Tier| loaded[tier as usize] * book.rates.transfer_s_per_token(tier);
    LOWER_TIERS.into_iter().map(seconds).sum()
}

/// Tokens that must leave, by the chance that they are asked for again. The longer a block was not
/// asked for, the less likely it ever is: a cache that keeps blocks twice as long as another loses
/// half as much with each. So what is new goes where what leaves is old, and no cache turns over
/// faster than the others.
fn evicted_tokens(
    ask: &Ask,
    candidate: &Candidate,
    uncached_tokens: u32,
    least_idle_s: f64,
) -> f64 {
    let load = candidate.load;
    if load.capacity_blocks == 0 {
        return 0.0;
    }
    let output = ask.output_tokens_max.unwrap_or(0).min(uncached_tokens);
    let new_blocks = (uncached_tokens + output).div_ceil(ask.block_tokens.max(1));
    let free = load.capacity_blocks.saturating_sub(load.held_blocks);
    let tokens = f64::from(new_blocks.saturating_sub(free) * ask.block_tokens);
    let reused = load.idle.map_or(1.0, |idle| {
        (least_idle_s + IDLE_FLOOR_S) / (idle.as_secs_f64() + IDLE_FLOOR_S)
    });
    REUSE_PROBABILITY * reused * tokens
}
