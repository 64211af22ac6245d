//! Prometheus text as vLLM writes it: figures found by name, summed over models.

use crate::Adapters;

/// No figure of a replica comes near it, times and counted bytes included.
const VALUE_END: f64 = 1e18;

/// One sample: name, labels as text, value.
struct Sample<'a> {
    name: &'a str,
    labels: &'a str,
    value: f64,
}

fn samples(text: &str) -> impl Iterator<Item = Sample<'_>> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let (head, value) = line.rsplit_once(' ')?;
            let (name, labels) = head.split_once('{').unwrap_or((head, ""));
            let value: f64 = value.parse().ok()?;
            // Neither NaN nor infinity nor what would add up to it: they would stay for ever.
            (value.abs() < VALUE_END).then_some(Sample {
                name,
                labels: labels.trim_end_matches('}'),
                value,
            })
        })
}

/// The value of a label.
fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = labels;
    while let Some((key, after)) = rest.split_once("=\"") {
        let (value, after) = after.split_once('"')?;
        if key.trim_start_matches(',') == name {
            return Some(value);
        }
        rest = after;
    }
    None
}

/// What a replica's /metrics tell of one rank.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) running: u32,
    pub(crate) waiting: u32,
    pub(crate) kv_usage: f32,
    /// Prompt tokens that were not in its cache, ever.
    pub(crate) computed_tokens: f64,
    pub(crate) block_tokens: Option<u32>,
    pub(crate) capacity_blocks: Option<u32>,
    pub(crate) process_start_s: f64,
    pub(crate) adapters: Adapters,
    /// When the adapters were told, in seconds since 1970: each set of them has a series of its own,
    /// and old ones stay.
    pub(crate) adapters_at_s: f64,
}

impl Figures {
    /// Of one rank; `None`: of all together.
    pub(crate) fn of(text: &str, rank: Option<u32>) -> Self {
        let mut figures = Self::default();
        let rank = rank.map(|rank| rank.to_string());
        for sample in samples(text) {
            let engine = label(sample.labels, "engine");
            if rank.is_some() && engine.is_some() && engine != rank.as_deref() {
                continue;
            }
            figures.take(&sample);
        }
        figures
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts of requests, and a share"
    )]
    fn take(&mut self, sample: &Sample<'_>) {
        let value = sample.value;
        match sample.name {
            "vllm:num_requests_running" => self.running = self.running.saturating_add(value as u32),
            "vllm:num_requests_waiting" => self.waiting = self.waiting.saturating_add(value as u32),
            "vllm:kv_cache_usage_perc" | "vllm:gpu_cache_usage_perc" => {
                self.kv_usage = self.kv_usage.max(value as f32).min(1.0);
            }
            "vllm:prefix_cache_queries_total" => self.computed_tokens += value,
            "vllm:prefix_cache_hits_total" => self.computed_tokens -= value,
            "process_start_time_seconds" => self.process_start_s = value,
            "vllm:lora_requests_info" if value >= self.adapters_at_s => {
                self.adapters_at_s = value;
                let names = |name| {
                    let names = label(sample.labels, name).unwrap_or_default().split(',');
                    names.map(str::trim).filter(|name| !name.is_empty())
                };
                self.adapters = Adapters {
                    running: names("running_lora_adapters").map(str::to_owned).collect(),
                    waiting: names("waiting_lora_adapters").map(str::to_owned).collect(),
                    max: label(sample.labels, "max_lora")
                        .and_then(|max| max.parse().ok())
                        .unwrap_or(0),
                };
            }
            "vllm:cache_config_info" => {
                let number = |name| {
                    let number = label(sample.labels, name)?.parse().ok();
                    number.filter(|number| *number > 0)
                };
                self.block_tokens = number("block_size");
                self.capacity_blocks =
                    number("num_gpu_blocks_override").or_else(|| number("num_gpu_blocks"));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
