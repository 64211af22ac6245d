//! A run in figures.

use super::drive::{Record, Run};
use serde_json::{Value as Json, json};
use std::{collections::BTreeMap, time::Duration};

/// A run in figures.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Figures {
    pub(crate) policy: &'static str,
    pub(crate) requests: usize,
    pub(crate) errors: usize,
    /// Share of prompt tokens found in caches, as replicas report it.
    pub(crate) hit_ratio: f64,
    /// Prompt tokens that had to be computed.
    pub(crate) prefill_tokens: usize,
    pub(crate) ttft_p50: Duration,
    pub(crate) ttft_p95: Duration,
    /// Prefill tokens of the busiest replica, by an even share.
    pub(crate) imbalance: f64,
    pub(crate) took: Duration,
    /// Requests by how well the cache was known.
    pub(crate) states: BTreeMap<String, usize>,
    /// Requests sent where part of their prefix was expected.
    pub(crate) warm: usize,
    /// Requests whose cached tokens were predicted exactly.
    pub(crate) predicted: usize,
}

impl Figures {
    pub(crate) fn of(run: &Run) -> Self {
        let answered: Vec<&Record> = answered(&run.records).collect();
        let times: Vec<Duration> = answered.iter().map(|record| record.first).collect();
        let mut states = BTreeMap::new();
        for record in &answered {
            *states.entry(record.receipt.state.clone()).or_insert(0) += 1;
        }
        let count = |holds: fn(&Record) -> bool| {
            let holding = answered.iter().filter(|record| holds(record));
            holding.count()
        };
        Self {
            policy: run.policy,
            requests: run.records.len(),
            errors: run.records.len() - answered.len(),
            hit_ratio: hit_ratio(&run.records),
            prefill_tokens: answered.iter().map(|record| computed(record)).sum(),
            ttft_p50: percentile(&times, 50),
            ttft_p95: percentile(&times, 95),
            imbalance: imbalance(run),
            took: run.took,
            states,
            warm: count(|record| record.receipt.overlap_tokens > 0),
            predicted: count(|record| record.receipt.overlap_tokens == record.cached_tokens),
        }
    }
}

/// Requests that were answered.
pub(crate) fn answered(records: &[Record]) -> impl Iterator<Item = &Record> {
    records.iter().filter(|record| record.error.is_none())
}

/// Prompt tokens that were not cached.
pub(crate) const fn computed(record: &Record) -> usize {
    record.prompt_tokens.saturating_sub(record.cached_tokens)
}

pub(crate) fn hit_ratio(records: &[Record]) -> f64 {
    hits(answered(records))
}

/// Share of these prompts' tokens that was cached.
pub(crate) fn hits<'r>(records: impl Iterator<Item = &'r Record>) -> f64 {
    let (cached, all) = records.fold((0, 0), |(cached, all), record| {
        (cached + record.cached_tokens, all + record.prompt_tokens)
    });
    cached as f64 / all.max(1) as f64
}

/// Prompt tokens cached and computed by each replica.
pub(crate) fn by_replica(run: &Run) -> Vec<(usize, usize)> {
    let mut all = vec![(0, 0); run.replicas];
    for record in answered(&run.records) {
        if let Some((cached, fresh)) = record.replica.and_then(|place| all.get_mut(place)) {
            *cached += record.cached_tokens;
            *fresh += computed(record);
        }
    }
    all
}

fn imbalance(run: &Run) -> f64 {
    let all = by_replica(run);
    let sum: usize = all.iter().map(|(_, fresh)| fresh).sum();
    let most = all.iter().map(|(_, fresh)| *fresh).max().unwrap_or(0);
    if sum == 0 {
        return 1.0;
    }
    most as f64 * all.len() as f64 / sum as f64
}

/// The nearest rank: the least of `times` that so many per cent of them don't exceed.
pub(crate) fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut ordered = times.to_vec();
    ordered.sort_unstable();
    let rank = (ordered.len() * percent).div_ceil(100).saturating_sub(1);
    ordered.get(rank).copied().unwrap_or_default()
}

pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// "84 %".
pub(crate) fn share(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// "48 ms".
pub(crate) fn time(time: Duration) -> String {
    format!("{} ms", number(ms(time)))
}

/// With a comma before each three digits.
pub(crate) fn number(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `{"runs":[..]}`.
pub(crate) fn json(all: &[Figures]) -> Json {
    let rounded = |number: f64, digits: i32| {
        let scale = 10_f64.powi(digits);
        (number * scale).round() / scale
    };
    let run = |figures: &Figures| {
        json!({
            "policy": figures.policy,
            "requests": figures.requests,
            "errors": figures.errors,
            "hit_ratio": rounded(figures.hit_ratio, 4),
            "prefill_tokens": figures.prefill_tokens,
            "ttft_ms": {
                "p50": rounded(ms(figures.ttft_p50), 1),
                "p95": rounded(ms(figures.ttft_p95), 1),
            },
            "imbalance": rounded(figures.imbalance, 3),
        })
    };
    json!({"runs": all.iter().map(run).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests;
