//! The choice among weighed endpoints. Pure: clock and chance are arguments.

use onefill_schedule::{Ask, Candidate, Pick, Scheduler};
use std::time::Duration;

/// Endpoints chosen for one request.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// Places among the candidates, the best first.
    pub(crate) places: Vec<usize>,
    /// What each candidate was worth, where that was asked for: the more the better.
    pub(crate) scores: Vec<f64>,
}

/// How much is to be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Endpoints in order of preference.
    pub(crate) places: usize,
    /// Whether scores are.
    pub(crate) scores: bool,
}

/// Chooses by the cost in seconds, and books the request at the best. `None` without candidates.
pub(crate) fn by_cost(
    scheduler: &Scheduler,
    now: Duration,
    ask: &Ask,
    candidates: &[Candidate],
    wanted: Wanted,
) -> Option<(Chosen, Pick)> {
    let costs: Vec<f64> = if wanted.places > 1 || wanted.scores {
        let explained = scheduler.explain(now, ask, candidates);
        explained.iter().map(|each| each.cost_s).collect()
    } else {
        Vec::new()
    };
    let pick = scheduler.pick(now, ask, candidates)?;
    let best = candidates
        .iter()
        .position(|each| each.replica == pick.replica)?;
    let mut others: Vec<usize> = (0..costs.len()).filter(|place| *place != best).collect();
    others.sort_by(|left, right| costs[*left].total_cmp(&costs[*right]));
    let mut places = vec![best];
    places.extend(others.into_iter().take(wanted.places.saturating_sub(1)));
    let scores = costs.iter().map(|cost| -cost).collect();
    Some((Chosen { places, scores }, pick))
}
