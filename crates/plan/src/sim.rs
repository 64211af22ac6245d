//! A fleet on simulated time: arrivals, the policy's picks, replicas, tiers, and what the index
//! hears of them.

mod batching;
mod clock;
mod fetch;
mod known;
mod measure;
mod queue;
mod world;

pub use measure::{Outcome, Percentiles};
pub use world::simulate;

use onefill_evict::Choice;
use std::time::Duration;

/// How big the fleet is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Shape {
    /// Replicas.
    pub replicas: usize,
    /// Tokens of each replica's own cache.
    pub gpu_tokens: u64,
    /// Tokens of each replica's host memory tier; 0: none.
    pub cpu_tokens: u64,
    /// Tokens of the store that all replicas share; 0: none.
    pub store_tokens: u64,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            replicas: 8,
            gpu_tokens: 1_000_000,
            cpu_tokens: 0,
            store_tokens: 0,
        }
    }
}

/// How a replica spends time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Engine {
    /// One prefill after another, nothing else: what theory can check.
    #[default]
    Queue,
    /// Continuous batching: each step decodes every running request and prefills with what is
    /// left of its budget.
    Batching,
}

/// How fast a replica is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rates {
    /// Tokens that a prefill computes in a second.
    pub prefill_tokens_s: f64,
    /// Time that every step (with [`Engine::Queue`]: every request) takes besides.
    pub step_s: f64,
    /// Time that one decoding request adds to a step.
    pub decode_s: f64,
    /// Most tokens a step.
    pub step_tokens_max: u32,
    /// Most requests in the batch.
    pub batch_max: usize,
    /// Tokens a second from host memory.
    pub cpu_tokens_s: f64,
    /// Tokens a second from the store to one replica.
    pub store_tokens_s: f64,
    /// Time before the store's first byte.
    pub store_latency_s: f64,
}

impl Default for Rates {
    /// A 70B model on four A100s, 320 KiB a token, the store behind 100 Gb/s, PCIe 4 to memory.
    fn default() -> Self {
        Self {
            prefill_tokens_s: 5500.0,
            step_s: 0.0,
            decode_s: 0.0004,
            step_tokens_max: 8192,
            batch_max: 256,
            cpu_tokens_s: 73_000.0,
            store_tokens_s: 39_000.0,
            store_latency_s: 0.0,
        }
    }
}

/// One run's arguments.
#[derive(Clone, Copy, Debug, Default)]
pub struct Config {
    /// How big the fleet is.
    pub shape: Shape,
    /// How fast a replica is.
    pub rates: Rates,
    /// How a replica spends time.
    pub engine: Engine,
    /// Which blocks leave the store; a replica's own tiers are the engine's matter.
    pub eviction: Choice,
    /// Time until the index hears of a change.
    pub event_delay: Duration,
    /// Share of the requests, from the first on, that only warm the caches.
    pub warm_up: f64,
}
