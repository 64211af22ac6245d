//! How loaded the pool is: from 1 on, requests that may be shed are.

use crate::{
    endpoint::Endpoint,
    refusal::{Code, Refusal},
};
use std::time::Duration;

/// How saturation is measured. Figures are the reference's.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Saturation {
    /// `utilization-detector`: the mean over endpoints of the fuller of queue and cache.
    Utilization {
        /// Requests waiting at which an endpoint is full.
        queue_depth: f64,
        /// Share of the cache in use at which it is.
        kv_usage: f64,
        /// Figures older than this say that it is full.
        stale_after: Duration,
    },
    /// `concurrency-detector`: what this picker has in flight, beside what endpoints may have.
    Concurrency {
        /// Requests an endpoint; `None`: they don't count.
        requests: Option<f64>,
        /// Tokens an endpoint; `None`: they don't count.
        tokens: Option<f64>,
    },
}

impl Default for Saturation {
    fn default() -> Self {
        Self::Utilization {
            queue_depth: 5.0,
            kv_usage: 0.8,
            stale_after: Duration::from_millis(200),
        }
    }
}

impl Saturation {
    /// Where endpoints are heard of less often, their figures are stale later: an idle one's are read
    /// once in a while only.
    #[must_use]
    pub fn heard_every(self, interval: Duration) -> Self {
        match self {
            Self::Utilization {
                queue_depth,
                kv_usage,
                stale_after,
            } => Self::Utilization {
                queue_depth,
                kv_usage,
                stale_after: stale_after.max(2 * interval),
            },
            concurrency => concurrency,
        }
    }

    /// Of the whole pool; 1 where it is empty. `coming`: requests on their way that no endpoint has yet.
    pub fn of(&self, endpoints: &[Endpoint], coming: u32) -> f64 {
        if endpoints.is_empty() {
            return 1.0;
        }
        match *self {
            Self::Utilization {
                queue_depth,
                kv_usage,
                stale_after,
            } => {
                let full = |one: &Endpoint| match one.candidate.load {
                    load if load.age.is_none_or(|age| age > stale_after) => 1.0,
                    load => {
                        let queue = f64::from(load.waiting) / queue_depth;
                        queue.max(f64::from(load.kv_usage) / kv_usage)
                    }
                };
                endpoints.iter().map(full).sum::<f64>() / endpoints.len() as f64
            }
            Self::Concurrency { requests, tokens } => {
                let count = endpoints.len() as f64;
                let sum = |figure: &dyn Fn(&Endpoint) -> f64| endpoints.iter().map(figure).sum();
                let used: f64 = sum(&|one| f64::from(one.in_flight));
                let used_tokens: f64 = sum(&|one| one.in_flight_tokens);
                let share =
                    |used: f64, each: Option<f64>| each.map_or(0.0, |each| used / each / count);
                let used = used + f64::from(coming);
                share(used, requests).max(share(used_tokens, tokens))
            }
        }
    }

    /// Refuses what may be shed while the pool is full: requests of a priority under 0.
    pub fn admit(&self, priority: i32, endpoints: &[Endpoint]) -> Result<(), Refusal> {
        if priority < 0 && self.of(endpoints, 0) >= 1.0 {
            let message = "system saturated, sheddable request dropped";
            return Err(Refusal::new(Code::ResourceExhausted, message));
        }
        Ok(())
    }
}
