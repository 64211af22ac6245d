//! Scorers: each gives endpoints from 0 to 1, the more the better.

use super::{Affinity, Scene};
use crate::endpoint::Endpoint;
use hashbrown::HashMap;
use onefill_kv::ReplicaId;
use parking_lot::Mutex;

/// Scores endpoints. Figures are the reference's.
#[derive(Debug)]
pub enum Scorer {
    /// `queue-scorer`: the shorter its queue beside the others'.
    Queue,
    /// `running-requests-size-scorer`: the same of its batch.
    Running,
    /// `kv-cache-utilization-scorer`: the share of its cache that is free.
    KvUtilization,
    /// `load-aware-scorer`: half at most, less by each request in its queue.
    LoadAware {
        /// Requests waiting at which nothing is left.
        threshold: f64,
    },
    /// `prefix-cache-scorer`
    Prefix(Prefix),
    /// `lora-affinity-scorer`
    LoraAffinity,
    /// `active-request-scorer`: the fewer requests in flight beside the others'.
    ActiveRequests {
        /// Requests in flight up to which an endpoint counts as idle.
        idle_threshold: u32,
        /// What a busy one gets at most.
        max_busy_score: f64,
    },
    /// `token-load-scorer`: the fewer tokens in flight, with this request's own.
    TokenLoad {
        /// Tokens at which nothing is left.
        threshold: f64,
    },
    /// `no-hit-lru-scorer`
    NoHitLru(NoHitLru),
    /// `session-affinity-scorer`
    Session(Affinity),
}

/// How much of the prompt an endpoint holds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Prefix {
    /// Weight of the length matched, beside the share matched.
    pub length_weight: f64,
    /// Tokens matched at which length counts in full.
    pub length_scale_tokens: f64,
}

impl Default for Prefix {
    fn default() -> Self {
        Self {
            length_weight: 0.0,
            length_scale_tokens: 8192.0,
        }
    }
}

/// Spreads prompts that nobody holds: those who got one longest ago come first.
#[derive(Debug, Default)]
pub struct NoHitLru(Mutex<ColdUse>);

#[derive(Debug, Default)]
struct ColdUse {
    count: u64,
    last: HashMap<ReplicaId, u64>,
}

impl Scorer {
    /// Scores of the endpoints at `places`.
    pub(super) fn score(&self, scene: &Scene<'_>, places: &[usize]) -> Vec<f64> {
        let each: Vec<&Endpoint> = places
            .iter()
            .map(|place| &scene.endpoints[*place])
            .collect();
        let map = |score: &dyn Fn(&Endpoint) -> f64| each.iter().map(|one| score(one)).collect();
        match self {
            Self::Queue => least_of(&each, |one| f64::from(one.candidate.load.waiting)),
            Self::Running => least_of(&each, |one| f64::from(one.candidate.load.running)),
            Self::KvUtilization => map(&|one| 1.0 - f64::from(one.candidate.load.kv_usage)),
            Self::LoadAware { threshold } => map(&|one| {
                let waiting = f64::from(one.candidate.load.waiting);
                0.5 * (1.0 - waiting.min(*threshold) / threshold.max(1.0))
            }),
            Self::Prefix(prefix) => map(&|one| prefix.of(scene, one)),
            Self::LoraAffinity => map(&|one| lora(one, scene.model)),
            Self::ActiveRequests {
                idle_threshold,
                max_busy_score,
            } => {
                let most = each.iter().map(|one| one.in_flight).max().unwrap_or(0);
                map(&|one| match one.in_flight {
                    idle if idle <= *idle_threshold => 1.0,
                    busy => f64::from(most - busy) / f64::from(most.max(1)) * max_busy_score,
                })
            }
            Self::TokenLoad { threshold } => map(&|one| {
                let load = one.in_flight_tokens + uncached_tokens(scene, one);
                1.0 - load.min(*threshold) / threshold.max(1.0)
            }),
            Self::NoHitLru(lru) => lru.score(&each),
            Self::Session(affinity) => map(&|one| f64::from(u8::from(affinity.is_of(scene, one)))),
        }
    }

    /// The request goes there; a header for the client.
    pub(super) fn chosen(&self, scene: &Scene<'_>, at: &Endpoint) -> Option<(String, String)> {
        match self {
            Self::NoHitLru(lru) => {
                lru.chosen(scene, at);
                None
            }
            Self::Session(affinity) => affinity.chosen(scene, at),
            _ => None,
        }
    }
}

/// 1 for the least, 0 for the most, in proportion between; 1 where all are equal.
fn least_of(each: &[&Endpoint], figure: impl Fn(&Endpoint) -> f64) -> Vec<f64> {
    let figures: Vec<f64> = each.iter().map(|one| figure(one)).collect();
    let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
    let most = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let score = |figure: &f64| match most - least {
        same if same <= 0.0 => 1.0,
        span => (most - figure) / span,
    };
    figures.iter().map(score).collect()
}

impl Prefix {
    fn of(self, scene: &Scene<'_>, one: &Endpoint) -> f64 {
        let total = scene.ask.chain.len();
        if total == 0 {
            return 0.0;
        }
        let held = f64::from(one.overlap().blocks());
        let tokens = held * f64::from(scene.ask.block_tokens);
        let length = (tokens / self.length_scale_tokens.max(1.0)).min(1.0);
        (1.0 - self.length_weight) * held / total as f64 + self.length_weight * length * length
    }
}

fn lora(one: &Endpoint, model: &str) -> f64 {
    let adapters = &one.adapters;
    let names = |list: &[String]| list.iter().any(|name| name == model);
    let loaded = adapters.running.len() + adapters.waiting.len();
    if names(&adapters.running) {
        1.0
    } else if loaded < adapters.max as usize {
        0.8
    } else if names(&adapters.waiting) {
        0.6
    } else {
        0.0
    }
}

fn uncached_tokens(scene: &Scene<'_>, one: &Endpoint) -> f64 {
    let held = one
        .overlap()
        .blocks()
        .saturating_mul(scene.ask.block_tokens);
    f64::from(scene.ask.prompt_tokens.saturating_sub(held))
}

/// Whether none of them holds anything of the prompt.
fn is_cold<'e>(mut endpoints: impl Iterator<Item = &'e Endpoint>) -> bool {
    !endpoints.any(|one| one.overlap().blocks() > 0)
}

impl NoHitLru {
    fn score(&self, each: &[&Endpoint]) -> Vec<f64> {
        if !is_cold(each.iter().copied()) {
            return vec![0.5; each.len()];
        }
        let used = self.0.lock();
        let last = |one: &Endpoint| used.last.get(&one.candidate.replica).copied().unwrap_or(0);
        let mut order: Vec<usize> = (0..each.len()).collect();
        order.sort_by_key(|place| last(each[*place]));
        let mut scores = vec![1.0; each.len()];
        let steps = each.len().saturating_sub(1).max(1) as f64;
        for (rank, place) in order.into_iter().enumerate() {
            scores[place] = 1.0 - rank as f64 / steps;
        }
        scores
    }

    fn chosen(&self, scene: &Scene<'_>, at: &Endpoint) {
        if is_cold(scene.endpoints.iter()) {
            let mut used = self.0.lock();
            used.count += 1;
            let count = used.count;
            // As many entries as there are replica numbers, at most.
            used.last.insert(at.candidate.replica, count);
        }
    }
}
