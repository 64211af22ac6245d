//! A scheduling profile as `EndpointPickerConfig` describes it: filters in order, then weighed
//! scores, then a picker. Pure: clock and chance are arguments; what a plugin remembers is its own.

mod filter;
mod score;
mod session;

use crate::{endpoint::Endpoint, headers::Headers, refusal::Refusal};
pub use filter::{Filter, Requirement};
use onefill_schedule::Ask;
pub use score::{NoHitLru, Prefix, Scorer};
pub use session::{Affinity, Strategy};
use std::time::Duration;

/// What is to be decided.
#[derive(Debug)]
pub struct Scene<'a> {
    /// Endpoints that may take the request.
    pub endpoints: &'a [Endpoint],
    /// What is asked of them.
    pub ask: &'a Ask,
    /// The model that is to answer.
    pub model: &'a str,
    /// The request's headers.
    pub headers: &'a Headers,
    /// The picker's clock.
    pub now: Duration,
}

/// How endpoints are taken by their scores.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Take {
    /// The highest; equals by chance.
    #[default]
    MaxScore,
    /// By chance.
    Random,
    /// By chance, in proportion to their scores.
    WeightedRandom,
}

/// Filters, scores and a picker.
#[derive(Debug, Default)]
pub struct Profile {
    /// Applied in order; where none is left, the request is refused.
    pub filters: Vec<Filter>,
    /// With their weights.
    pub scorers: Vec<(Scorer, f64)>,
    /// How the best are taken.
    pub take: Take,
    /// How many are told.
    pub endpoints_max: usize,
}

/// Endpoints in order of preference.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Order {
    /// Places among the scene's endpoints, the best first.
    pub places: Vec<usize>,
    /// Scores of all endpoints; 0 for those that were filtered out.
    pub scores: Vec<f64>,
}

impl Profile {
    /// Endpoints for a request, the best first: at least one.
    pub fn choose(
        &self,
        scene: &Scene<'_>,
        chance: &mut dyn FnMut() -> f64,
    ) -> Result<Order, Refusal> {
        let mut left: Vec<usize> = (0..scene.endpoints.len()).collect();
        for filter in &self.filters {
            left = filter.keep(scene, left);
            if left.is_empty() {
                return Err(Refusal::filtered());
            }
        }
        let mut sums = vec![0.0; left.len()];
        for (scorer, weight) in &self.scorers {
            for (sum, score) in sums.iter_mut().zip(scorer.score(scene, &left)) {
                *sum += weight * score.clamp(0.0, 1.0);
            }
        }
        let keys: Vec<(f64, f64)> = sums
            .iter()
            .map(|score| self.take.key(*score, chance()))
            .collect();
        let mut order: Vec<usize> = (0..left.len()).collect();
        order.sort_by(|a, b| {
            keys[*b]
                .partial_cmp(&keys[*a])
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        let told = order.iter().take(self.endpoints_max.max(1));
        let mut scores = vec![0.0; scene.endpoints.len()];
        for (place, sum) in left.iter().zip(&sums) {
            scores[*place] = *sum;
        }
        Ok(Order {
            places: told.map(|place| left[*place]).collect(),
            scores,
        })
    }

    /// The request goes to the endpoint at `place`: plugins remember it, and may tell the client.
    pub fn chosen(&self, scene: &Scene<'_>, place: usize) -> Vec<(String, String)> {
        let Some(endpoint) = scene.endpoints.get(place) else {
            return Vec::new();
        };
        let scorers = self.scorers.iter().map(|(scorer, _)| scorer);
        let told = scorers.filter_map(|scorer| scorer.chosen(scene, endpoint));
        let filters = self.filters.iter();
        told.chain(filters.filter_map(|filter| filter.chosen(scene, endpoint)))
            .collect()
    }
}

impl Take {
    /// What endpoints are ordered by, the highest first. `chance` is from 0 to 1.
    fn key(self, score: f64, chance: f64) -> (f64, f64) {
        match self {
            Self::MaxScore => (score, chance),
            Self::Random => (chance, 0.0),
            // Efraimidis and Spirakis: the highest of U^(1/w) is drawn in proportion to w. Without a
            // score an endpoint comes after all that have one, by chance.
            Self::WeightedRandom if score > 0.0 => (1.0 + chance.powf(1.0 / score), 0.0),
            Self::WeightedRandom => (chance, 0.0),
        }
    }
}
