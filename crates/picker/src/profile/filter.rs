//! Filters: each leaves some of the endpoints.

use super::{Affinity, Scene};
use crate::{endpoint::Endpoint, headers::TEST_SELECTION, subset::Subset};
use std::collections::BTreeMap;

/// Leaves some of the endpoints.
#[derive(Debug)]
pub enum Filter {
    /// `label-selector-filter`: those with all these labels.
    Labels(Vec<Requirement>),
    /// `session-affinity-filter`
    Session(Affinity),
    /// `header-based-testing-filter`: those that a test asks for.
    TestHeader,
    /// `utilization-detector` as a filter: those under the limits, all where none is.
    Utilization {
        /// Requests waiting.
        queue_depth: f64,
        /// Share of the cache in use.
        kv_usage: f64,
    },
}

/// One requirement of a label selector.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Requirement {
    /// The label has one of these values.
    In(String, Vec<String>),
    /// It has none of them.
    NotIn(String, Vec<String>),
    /// It is there.
    Exists(String),
    /// It is not.
    Absent(String),
}

impl Requirement {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Self::Exists(key) => labels.contains_key(key),
            Self::Absent(key) => !labels.contains_key(key),
        }
    }
}

impl Filter {
    pub(super) fn keep(&self, scene: &Scene<'_>, places: Vec<usize>) -> Vec<usize> {
        let kept = |keep: &dyn Fn(&Endpoint) -> bool| -> Vec<usize> {
            let each = places
                .iter()
                .filter(|place| keep(&scene.endpoints[**place]));
            each.copied().collect()
        };
        match self {
            Self::Labels(all) => kept(&|one| all.iter().all(|each| each.holds(&one.pod.labels))),
            Self::Session(affinity) => affinity.keep(scene, places),
            Self::TestHeader => match scene.headers.get(TEST_SELECTION) {
                None => places,
                Some(wish) => {
                    let wish = Subset::parse(&wish);
                    kept(&|one| wish.allows(one.pod.address))
                }
            },
            Self::Utilization {
                queue_depth,
                kv_usage,
            } => {
                let under = kept(&|one| {
                    let load = one.candidate.load;
                    f64::from(load.waiting) < *queue_depth && f64::from(load.kv_usage) < *kv_usage
                });
                if under.is_empty() { places } else { under }
            }
        }
    }

    /// The request goes there; a header for the client.
    pub(super) fn chosen(&self, scene: &Scene<'_>, at: &Endpoint) -> Option<(String, String)> {
        match self {
            Self::Session(affinity) => affinity.chosen(scene, at),
            _ => None,
        }
    }
}
