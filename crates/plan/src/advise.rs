//! What each option would bring to a fleet, from what was asked of it: the record is replayed as
//! it was, which tells how fast the replicas are, then once for each option.

mod confidence;
mod evidence;
mod option;
mod replay;
mod text;

pub use confidence::{Confidence, Level};
pub use evidence::{Evidence, Known};
pub use option::{Choice, Tried};
pub use text::text;

use crate::{
    sim::{Config, Outcome, simulate},
    trace::{Recorded, Trace},
};

/// An option that finds fewer prompt tokens more than this share of them brings nothing.
const WORTH_HITS: f64 = 0.02;
/// Nor does one that makes waiting so much longer.
const WORSE_TTFT: f64 = -0.05;
/// An option that costs more must be so much better than a cheaper one.
const WORTH_MORE: f64 = 0.10;

/// Advice.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Advice {
    /// What it stands on.
    pub evidence: Evidence,
    /// The record as it was, simulated.
    pub before: Outcome,
    /// Each option, cheapest first.
    pub tried: Vec<Tried>,
    /// Place of the option to take, in `tried`; `None`: nothing will help.
    pub best: Option<usize>,
    /// How sure that is.
    pub confidence: Confidence,
}

/// What is to be advised on.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The requests, and what came of them where that is known.
    pub asked: Asked<'a>,
    /// What is known of the fleet beside the record.
    pub known: Known,
}

/// Requests with or without their outcomes.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    /// A router's record.
    Record(&'a Recorded),
    /// Requests alone: taken as spread in turn.
    Trace(&'a Trace),
}

impl<'a> Asked<'a> {
    /// The requests.
    #[must_use]
    pub const fn trace(self) -> &'a Trace {
        match self {
            Self::Record(recorded) => &recorded.trace,
            Self::Trace(trace) => trace,
        }
    }
}

/// Advises. `progress` hears what is being looked at.
#[must_use]
pub fn advise(question: &Question<'_>, progress: &mut dyn FnMut(&str)) -> Advice {
    let trace = question.asked.trace();
    progress("replaying it as it was");
    let (evidence, config) = evidence::gather(question);
    let before = as_it_was(question.asked, &config);
    let mut tried = Vec::new();
    for choice in Choice::ALL {
        if !choice.is_possible(&config) {
            continue;
        }
        progress(choice.name());
        let outcome = choice.run(trace, &config, &evidence.policy);
        tried.push(Tried::new(choice, &config.shape, &before, outcome));
    }
    let best = best(&tried);
    progress("whether both halves say the same");
    let confidence = confidence::judge(question, &config, &evidence, best.map(|at| &tried[at]));
    Advice {
        evidence,
        before,
        tried,
        best,
        confidence,
    }
}

/// The recorded picks; in turn where there are none.
fn as_it_was(asked: Asked<'_>, config: &Config) -> Outcome {
    let trace = asked.trace();
    let mut route = replay::route(asked, config);
    simulate(trace, config, "as it was", route.as_mut(), &mut |_| {})
}

/// The cheapest option that is worth it, and nearly as good as the best.
fn best(tried: &[Tried]) -> Option<usize> {
    let worth = |each: &&Tried| {
        let finds = each.hits_gained >= WORTH_HITS && each.ttft_saved > WORSE_TTFT;
        finds && each.choice.shares()
    };
    let least = tried
        .iter()
        .filter(worth)
        .map(|each| each.outcome.ttft_s.mean);
    let least = least.fold(f64::INFINITY, f64::min);
    tried
        .iter()
        .position(|each| worth(&each) && each.outcome.ttft_s.mean <= least * (1.0 + WORTH_MORE))
}

#[cfg(test)]
mod tests;
