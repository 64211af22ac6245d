//! What a run showed.

use super::{Config, fetch::Found};
use std::time::Duration;

/// A distribution in a few figures, in seconds.
#[derive(Clone, Copy, PartialEq, Debug, Default, serde::Serialize)]
pub struct Percentiles {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 90 % are under it.
    pub p90: f64,
    /// 95 % are under it.
    pub p95: f64,
    /// 99 % are under it.
    pub p99: f64,
}

impl Percentiles {
    /// Of these samples.
    #[must_use]
    pub fn of(mut samples: Vec<f64>) -> Self {
        if samples.is_empty() {
            return Self::default();
        }
        samples.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = ((samples.len() - 1) as f64 * share).round() as usize;
            samples[place]
        };
        Self {
            mean: samples.iter().sum::<f64>() / samples.len() as f64,
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
        }
    }
}

/// What a run showed.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Outcome {
    /// The policy's name.
    pub policy: String,
    /// Requests measured.
    pub requests: usize,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Of those, from the replica's own cache.
    pub gpu_tokens: u64,
    /// From its host memory.
    pub cpu_tokens: u64,
    /// From the store.
    pub store_tokens: u64,
    /// Time to the first token.
    pub ttft_s: Percentiles,
    /// Time to the last token.
    pub latency_s: Percentiles,
    /// The busiest replica's computed tokens over the mean.
    pub imbalance: f64,
    /// From the first measured arrival to the last answer.
    pub seconds: f64,
    /// Tokens written to the store.
    pub store_written_tokens: u64,
}

impl Outcome {
    /// Share of prompt tokens that were not computed.
    #[must_use]
    pub fn hit_ratio(&self) -> f64 {
        let found = self.gpu_tokens + self.cpu_tokens + self.store_tokens;
        found as f64 / self.prompt_tokens.max(1) as f64
    }

    /// Share of prompt tokens found in the replicas' own caches.
    #[must_use]
    pub fn gpu_ratio(&self) -> f64 {
        self.gpu_tokens as f64 / self.prompt_tokens.max(1) as f64
    }

    /// Share of prompt tokens loaded from the replicas' memory.
    #[must_use]
    pub fn cpu_ratio(&self) -> f64 {
        self.cpu_tokens as f64 / self.prompt_tokens.max(1) as f64
    }

    /// Share of prompt tokens read from the store.
    #[must_use]
    pub fn store_ratio(&self) -> f64 {
        self.store_tokens as f64 / self.prompt_tokens.max(1) as f64
    }

    /// Requests answered in a second.
    #[must_use]
    pub fn requests_s(&self) -> f64 {
        self.requests as f64 / self.seconds.max(1e-9)
    }
}

/// Samples of a run.
#[derive(Debug)]
pub(super) struct Measure {
    /// Requests before this one only warm the caches.
    first: u32,
    found: Found,
    requests: usize,
    ttft_s: Vec<f64>,
    latency_s: Vec<f64>,
    computed: Vec<u64>,
    started: Option<Duration>,
    ended: Duration,
    pub(super) store_written_tokens: u64,
}

impl Measure {
    pub(super) fn new(config: &Config, requests: usize) -> Self {
        Self {
            first: (requests as f64 * config.warm_up) as u32,
            found: Found::default(),
            requests: 0,
            ttft_s: Vec::new(),
            latency_s: Vec::new(),
            computed: vec![0; config.shape.replicas],
            started: None,
            ended: Duration::ZERO,
            store_written_tokens: 0,
        }
    }

    pub(super) fn found(&mut self, number: u32, replica: usize, found: &Found) {
        if number < self.first {
            return;
        }
        self.requests += 1;
        self.found.gpu += found.gpu;
        self.found.cpu += found.cpu;
        self.found.store += found.store;
        self.found.computed += found.computed;
        self.computed[replica] += found.computed;
    }

    pub(super) fn first_token(&mut self, number: u32, asked: Duration, now: Duration) {
        if number >= self.first {
            self.started = Some(self.started.map_or(asked, |started| started.min(asked)));
            self.ttft_s.push((now - asked).as_secs_f64());
        }
    }

    pub(super) fn last_token(&mut self, number: u32, asked: Duration, now: Duration) {
        if number >= self.first {
            self.latency_s.push((now - asked).as_secs_f64());
            self.ended = now;
        }
    }

    pub(super) fn outcome(self, policy: &str) -> Outcome {
        let total: u64 = self.computed.iter().sum();
        let most = self.computed.iter().max().copied().unwrap_or(0);
        let mean = total as f64 / self.computed.len().max(1) as f64;
        let Found {
            gpu,
            cpu,
            store,
            computed,
        } = self.found;
        let started = self.started.unwrap_or_default();
        Outcome {
            policy: policy.to_owned(),
            requests: self.requests,
            prompt_tokens: gpu + cpu + store + computed,
            gpu_tokens: gpu,
            cpu_tokens: cpu,
            store_tokens: store,
            ttft_s: Percentiles::of(self.ttft_s),
            latency_s: Percentiles::of(self.latency_s),
            imbalance: if mean > 0.0 { most as f64 / mean } else { 1.0 },
            seconds: self.ended.saturating_sub(started).as_secs_f64(),
            store_written_tokens: self.store_written_tokens,
        }
    }
}
