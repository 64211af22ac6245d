//! How long tokens take, learned from the times to the first byte.
//!
//! ```text
//! first byte = overhead + computed tokens * prefill + loaded tokens * transfer of their tier
//! ```
//!
//! One request's time says little of its replica: it was queued, the machine was busy. Rates that
//! differ by chance draw all new prompts to the replica that looks faster and wear out its cache,
//! so a replica has the fleet's rate until its own sums say otherwise, clearly.

use onefill_kv::Tier;

/// Prefill before anything was measured: 10,000 tokens a second.
const PREFILL_PRIOR: f64 = 1e-4;
/// Bounds of what a sample may say: 100 to 10 million tokens a second.
const SAMPLE: (f64, f64) = (1e-7, 1e-2);
/// Under so many tokens a first byte says more of the overhead than of the rate.
const SAMPLE_TOKENS_MIN: f64 = 64.0;
/// A stall says little of the rate: no sample counts for more than so many times it.
const STALL: f64 = 4.0;
/// Samples lose half their weight after so many tokens.
const HALF_LIFE_TOKENS: f64 = 200_000.0;
/// The prior weighs as much as so many measured tokens ...
const PRIOR_TOKENS: f64 = 2_000.0;
/// ... and the fleet's rate, in a replica's own, as so many.
const FLEET_TOKENS: f64 = 20_000.0;
/// A replica is faster or slower than the fleet from this factor on.
const CLEARLY: f64 = 1.5;
/// Weight of a sample that is longer than the overhead; a shorter one is the overhead.
const OVERHEAD_RISE: f64 = 0.002;
/// Tokens from lower tiers come so many times faster than they are computed, until measured.
const TIER_SPEEDUP: [f64; 4] = [f64::INFINITY, 20.0, 8.0, 5.0];

/// Seconds and the tokens that took them; old ones fade.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate {
    seconds: f64,
    tokens: f64,
}

impl Rate {
    fn add(&mut self, seconds: f64, tokens: f64) {
        let kept = (-tokens / HALF_LIFE_TOKENS).exp2();
        self.seconds = self.seconds * kept + seconds;
        self.tokens = self.tokens * kept + tokens;
    }

    /// Seconds a token, `prior` weighing as much as `prior_tokens`.
    fn s_per_token(&self, prior: f64, prior_tokens: f64) -> f64 {
        (self.seconds + prior * prior_tokens) / (self.tokens + prior_tokens)
    }
}

/// What a first byte took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) seconds: f64,
    /// Tokens computed for it and before it.
    pub(crate) computed_tokens: f64,
    /// Tokens loaded for it, by tier.
    pub(crate) loaded_tokens: [f64; 4],
}

/// The fleet's rates.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rates {
    /// Shortest time to a first byte, of late.
    overhead_s: Option<f64>,
    prefill: Rate,
    tiers: [Rate; 4],
}

impl Rates {
    /// Seconds a token of prefill, in the fleet.
    fn fleet_s_per_token(&self) -> f64 {
        self.prefill.s_per_token(PREFILL_PRIOR, PRIOR_TOKENS)
    }

    /// Seconds a token of prefill at a replica with these sums of its own.
    pub(crate) fn prefill_s_per_token(&self, own: &Rate) -> f64 {
        let fleet = self.fleet_s_per_token();
        let factor = own.s_per_token(fleet, FLEET_TOKENS) / fleet;
        let clear = (factor / CLEARLY).max(1.0) * (factor * CLEARLY).min(1.0);
        fleet * clear
    }

    /// Seconds a token from a lower tier.
    pub(crate) fn transfer_s_per_token(&self, tier: Tier) -> f64 {
        let place = tier as usize;
        let prior = self.fleet_s_per_token() / TIER_SPEEDUP[place];
        self.tiers[place].s_per_token(prior, PRIOR_TOKENS)
    }

    /// Learns from a first byte of a replica with these sums of its own.
    pub(crate) fn learn(&mut self, own: &mut Rate, sample: Sample) {
        let overhead_s = match self.overhead_s {
            Some(known) if sample.seconds > known => {
                known + OVERHEAD_RISE * (sample.seconds - known).min(known)
            }
            _ => sample.seconds,
        };
        self.overhead_s = Some(overhead_s);
        let seconds = (sample.seconds - overhead_s).max(0.0);
        let loaded: f64 = sample.loaded_tokens.iter().sum();
        if loaded > sample.computed_tokens {
            return self.learn_transfer(own, sample, seconds);
        }
        if sample.computed_tokens >= SAMPLE_TOKENS_MIN {
            let (least, most) = SAMPLE;
            let most = most.min(STALL * self.fleet_s_per_token());
            let s_per_token = (seconds / sample.computed_tokens).clamp(least, most);
            let seconds = s_per_token * sample.computed_tokens;
            self.prefill.add(seconds, sample.computed_tokens);
            own.add(seconds, sample.computed_tokens);
        }
    }

    /// What is left after computing was spent on the farthest tier.
    fn learn_transfer(&mut self, own: &Rate, sample: Sample, seconds: f64) {
        let computing = sample.computed_tokens * self.prefill_s_per_token(own);
        let farthest = sample
            .loaded_tokens
            .iter()
            .rposition(|tokens| *tokens > 0.0);
        let Some(place) = farthest else {
            return;
        };
        let (Some(rate), Some(tokens)) =
            (self.tiers.get_mut(place), sample.loaded_tokens.get(place))
        else {
            return;
        };
        let (least, most) = SAMPLE;
        let s_per_token = ((seconds - computing).max(0.0) / tokens).clamp(least, most);
        rate.add(s_per_token * tokens, *tokens);
    }
}

#[cfg(test)]
mod tests;
