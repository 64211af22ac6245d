//! The choice among weighed endpoints. Pure: clock and chance are arguments.

use crate::{
    profile::{Profile, Scene},
    refusal::Refusal,
};
use onefill_schedule::{Ask, Candidate, Pick, Scheduler};
use std::time::Duration;

/// Endpoints chosen for one request.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// Places among the endpoints, the best first.
    pub(crate) places: Vec<usize>,
    /// What each endpoint was worth, where that was asked for: the more the better.
    pub(crate) scores: Vec<f64>,
    /// Headers for the client.
    pub(crate) headers: Vec<(String, String)>,
}

/// How much is to be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Endpoints in order of preference.
    pub(crate) places: usize,
    /// Whether scores are.
    pub(crate) scores: bool,
}

/// Chooses by the cost in seconds, and books the request at the best.
pub(crate) fn by_cost(
    scheduler: &Scheduler,
    (now, ask): (Duration, &Ask),
    candidates: &[Candidate],
    wanted: Wanted,
) -> Result<(Chosen, Pick), Refusal> {
    let costs: Vec<f64> = if wanted.places > 1 || wanted.scores {
        let explained = scheduler.explain(now, ask, candidates);
        explained.iter().map(|each| each.cost_s).collect()
    } else {
        Vec::new()
    };
    let pick = scheduler.pick(now, ask, candidates);
    let pick = pick.ok_or_else(Refusal::filtered)?;
    let is_best = |each: &Candidate| each.replica == pick.replica;
    let best = candidates.iter().position(is_best);
    let best = best.ok_or_else(Refusal::filtered)?;
    let mut others: Vec<usize> = (0..costs.len()).filter(|place| *place != best).collect();
    others.sort_by(|left, right| costs[*left].total_cmp(&costs[*right]));
    let mut places = vec![best];
    places.extend(others.into_iter().take(wanted.places.saturating_sub(1)));
    let chosen = Chosen {
        places,
        scores: costs.iter().map(|cost| -cost).collect(),
        headers: Vec::new(),
    };
    Ok((chosen, pick))
}

/// Chooses as a profile says, and books the request at the best.
pub(crate) fn by_profile(
    profile: &Profile,
    scheduler: &Scheduler,
    scene: &Scene<'_>,
    chance: &mut dyn FnMut() -> f64,
) -> Result<(Chosen, Pick), Refusal> {
    let order = profile.choose(scene, chance)?;
    let best = order.places.first().copied().unwrap_or(0);
    let headers = profile.chosen(scene, best);
    let only = scene.endpoints.get(best).map(|one| one.candidate);
    let pick = scheduler.pick(scene.now, scene.ask, only.as_slice());
    let chosen = Chosen {
        places: order.places,
        scores: order.scores,
        headers,
    };
    Ok((chosen, pick.ok_or_else(Refusal::filtered)?))
}
