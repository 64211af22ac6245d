//! What was measured of one door.

use crate::client::Load;

#[derive(Default)]
pub struct Figures {
    /// Latencies over one connection, in microseconds.
    pub alone: Vec<f64>,
    /// Sixteen connections, one entry a round.
    pub loaded: Vec<Load>,
    /// The door's own CPU time a request under load, in seconds, one entry a round.
    pub cpu_s: Vec<f64>,
}

/// The value below which `share` of them lie.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (share * sorted.len() as f64) as usize;
    sorted
        .get(place.min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}

impl Figures {
    pub fn p50_us(&self) -> f64 {
        quantile(&self.alone, 0.5)
    }

    /// Median over rounds.
    pub fn requests_s(&self) -> f64 {
        let rates = self.loaded.iter();
        let rates: Vec<f64> = rates
            .map(|load| load.latencies_us.len() as f64 / load.seconds)
            .collect();
        quantile(&rates, 0.5)
    }

    /// Median over rounds of each round's quantile.
    pub fn loaded_us(&self, share: f64) -> f64 {
        let rounds = self.loaded.iter();
        let each: Vec<f64> = rounds
            .map(|load| quantile(&load.latencies_us, share))
            .collect();
        quantile(&each, 0.5)
    }

    pub fn cpu_us(&self) -> f64 {
        quantile(&self.cpu_s, 0.5) * 1e6
    }
}
