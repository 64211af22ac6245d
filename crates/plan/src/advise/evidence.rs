//! What the record says of the fleet: how many replicas, how much they hold, how fast they are.

use super::{Asked, Question, as_it_was, replay};
use crate::{
    sim::{Config, Engine, Rates, Shape},
    sizing,
    trace::Recorded,
};
use std::time::Duration;

/// What is known beside the record, and stands over it.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Known {
    /// Replicas.
    pub replicas: Option<u16>,
    /// Tokens that each one's accelerators hold.
    pub gpu_tokens: Option<u64>,
    /// Tokens that one computes in a second.
    pub prefill_tokens_s: Option<f64>,
    /// Tokens a second from a store to a replica.
    pub store_tokens_s: Option<f64>,
}

/// What the advice stands on.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Evidence {
    /// Requests.
    pub requests: usize,
    /// Seconds from the first to the last.
    pub seconds: f64,
    /// Tokens of all prompts.
    pub prompt_tokens: u64,
    /// Replicas.
    pub replicas: usize,
    /// Tokens that each one's accelerators hold.
    pub gpu_tokens: u64,
    /// Whether that was told, or is a guess.
    pub gpu_tokens_told: bool,
    /// The policy that picked.
    pub policy: String,
    /// Share of prompt tokens that an unlimited cache would have.
    pub ideal_ratio: f64,
    /// Share that the replicas reported to have had.
    pub reported_ratio: Option<f64>,
    /// Mean time to the first byte as it was measured, in seconds.
    pub measured_ttft_s: Option<f64>,
    /// Tokens that one replica computes in a second: with it, replaying takes as long as it took.
    pub prefill_tokens_s: f64,
}

/// Tokens of a replica's cache where nobody told: a mid-size model on one accelerator.
const GPU_TOKENS: u64 = 400_000;
/// Rates that are looked at, in tokens a second.
const RATES: (f64, f64) = (50.0, 2e6);
/// Halvings of that range.
const STEPS: usize = 14;
/// A step's time where answers don't tell.
const STEP_S: f64 = 0.008;

/// The evidence, and the fleet as it is to be simulated.
pub(super) fn gather(question: &Question<'_>) -> (Evidence, Config) {
    let (asked, known) = (question.asked, question.known);
    let trace = asked.trace();
    let record = match asked {
        Asked::Record(recorded) => Some(recorded),
        Asked::Trace(_) => None,
    };
    let told = known.gpu_tokens.or_else(|| record.and_then(capacity));
    let seen = replay::replicas(asked).len().max(1);
    let gpu_tokens = told.unwrap_or(GPU_TOKENS);
    let mut config = Config {
        shape: Shape {
            replicas: known.replicas.map_or(seen, usize::from).max(seen),
            gpu_tokens,
            ..Shape::default()
        },
        rates: Rates {
            step_s: record.and_then(step_s).unwrap_or(STEP_S),
            ..Rates::default()
        },
        engine: Engine::Batching,
        event_delay: Duration::from_millis(5),
        ..Config::default()
    };
    let measured_ttft_s = record.and_then(measured_ttft_s);
    let rate = match (known.prefill_tokens_s, measured_ttft_s) {
        (Some(rate), _) => rate,
        (None, Some(mean_s)) => rate_for(asked, &config, mean_s),
        (None, None) => config.rates.prefill_tokens_s,
    };
    config.rates.prefill_tokens_s = rate;
    let (cpu, store) = (config.rates.cpu_tokens_s, config.rates.store_tokens_s);
    // Loads are as much faster than computing as where nothing was measured, or as told.
    let usual = Rates::default().prefill_tokens_s;
    config.rates.cpu_tokens_s = cpu / usual * rate;
    config.rates.store_tokens_s = known.store_tokens_s.unwrap_or(store / usual * rate);
    let last = trace.requests.last().map_or(Duration::ZERO, |last| last.at);
    let evidence = Evidence {
        requests: trace.requests.len(),
        seconds: last.as_secs_f64(),
        prompt_tokens: trace.prompt_tokens(),
        replicas: config.shape.replicas,
        gpu_tokens,
        gpu_tokens_told: told.is_some(),
        policy: record
            .map_or("round-robin", |record| record.policy.as_str())
            .to_owned(),
        ideal_ratio: sizing::ideal_ratio(trace),
        reported_ratio: record.and_then(reported_ratio),
        measured_ttft_s,
        prefill_tokens_s: rate,
    };
    (evidence, config)
}

/// The usual capacity of a replica, where any was told.
fn capacity(record: &Recorded) -> Option<u64> {
    let told = record.entries.iter().map(|entry| entry.capacity_tokens);
    middle(told.filter(|tokens| *tokens > 0).collect())
}

fn middle<T: PartialOrd + Copy>(mut all: Vec<T>) -> Option<T> {
    all.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    all.get(all.len() / 2).copied()
}

/// Time between two tokens of an answer: what a step takes that only decodes.
fn step_s(record: &Recorded) -> Option<f64> {
    let gap = |entry: &onefill_record::Entry| {
        let more = entry.output_tokens.filter(|tokens| *tokens > 1)? - 1;
        Some((entry.whole_ms - entry.first_ms?) / 1e3 / f64::from(more))
    };
    middle(record.entries.iter().filter_map(gap).collect())
}

fn measured_ttft_s(record: &Recorded) -> Option<f64> {
    let told: Vec<f64> = record
        .entries
        .iter()
        .filter_map(|entry| entry.first_ms)
        .collect();
    (!told.is_empty()).then(|| told.iter().sum::<f64>() / told.len() as f64 / 1e3)
}

fn reported_ratio(record: &Recorded) -> Option<f64> {
    let told = record
        .entries
        .iter()
        .filter(|entry| entry.cached_tokens.is_some());
    let (cached, all) = told.fold((0, 0), |(cached, all), entry| {
        let more = u64::from(entry.cached_tokens.unwrap_or(0));
        (cached + more, all + u64::from(entry.prompt_tokens))
    });
    (all > 0).then(|| cached as f64 / all as f64)
}

/// The rate with which the record, replayed as it was, takes as long to first bytes as it took.
fn rate_for(asked: Asked<'_>, config: &Config, mean_s: f64) -> f64 {
    let (mut slow, mut fast) = RATES;
    for _ in 0..STEPS {
        let middle = (slow * fast).sqrt();
        let mut tried = *config;
        tried.rates.prefill_tokens_s = middle;
        match as_it_was(asked, &tried).ttft_s.mean > mean_s {
            true => slow = middle,
            false => fast = middle,
        }
    }
    (slow * fast).sqrt()
}
