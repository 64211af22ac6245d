//! What a replica counts, under vLLM's names.

use crate::{
    config::Config,
    scheduler::Scheduler,
    sequence::{Finish, Sequence},
};
use std::{fmt::Write as _, time::Duration};
use tokio::time::Instant;

/// Upper bounds in seconds: vLLM's own for times to the first token.
const BOUNDS_S: [f64; 22] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0, 160.0, 640.0, 2560.0,
];

/// Times, counted by upper bound.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    counts: [u64; BOUNDS_S.len()],
    count: u64,
    sum_s: f64,
}

impl Times {
    fn observe(&mut self, time: Duration) {
        let time_s = time.as_secs_f64();
        let place = BOUNDS_S.iter().position(|bound| time_s <= *bound);
        if let Some(count) = place.and_then(|place| self.counts.get_mut(place)) {
            *count += 1;
        }
        self.count += 1;
        self.sum_s += time_s;
    }
}

/// Counts since the process began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    /// Prompt tokens looked up in the cache, and found there.
    pub(crate) queries: u64,
    pub(crate) hits: u64,
    pub(crate) preemptions: u64,
    /// Of prompts whose prefill is over.
    pub(crate) prompt_tokens: u64,
    pub(crate) cached_tokens: u64,
    pub(crate) generation_tokens: u64,
    pub(crate) stopped: u64,
    pub(crate) cut: u64,
    pub(crate) aborted: u64,
    first_token: Times,
    whole: Times,
}

impl Counters {
    pub(crate) fn admitted(&mut self, sequence: &Sequence) {
        self.queries += sequence.plan.prompt_tokens as u64;
        self.hits += sequence.computed as u64;
    }

    /// One more token of an answer.
    pub(crate) fn generated(&mut self, sequence: &Sequence, now: Instant) {
        self.generation_tokens += 1;
        if sequence.generated == 1 {
            self.prefilled(sequence, now);
        }
    }

    pub(crate) fn finished(&mut self, sequence: &Sequence, now: Instant) {
        if sequence.generated == 0 {
            self.prefilled(sequence, now);
        }
        match sequence.plan.finish {
            Finish::Stop => self.stopped += 1,
            Finish::Length => self.cut += 1,
        }
        self.whole.observe(now - sequence.arrived);
    }

    fn prefilled(&mut self, sequence: &Sequence, now: Instant) {
        self.prompt_tokens += sequence.plan.prompt_tokens as u64;
        self.cached_tokens += sequence.cached_tokens.unwrap_or(0) as u64;
        self.first_token.observe(now - sequence.arrived);
    }
}

/// Writes Prometheus' text format.
struct Page {
    text: String,
    /// `engine="0",model_name="..."`.
    labels: String,
}

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn line(&mut self, name: &str, labels: &str, value: f64) {
        let (comma, own) = (if labels.is_empty() { "" } else { "," }, &self.labels);
        // Python writes floats with a point, always.
        _ = writeln!(self.text, "{name}{{{own}{comma}{labels}}} {value:?}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.head(name, "gauge", help);
        self.line(name, "", value);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.counters(name, help, &[("", value)]);
    }

    fn counters(&mut self, name: &str, help: &str, values: &[(&str, u64)]) {
        let name = format!("{name}_total");
        self.head(&name, "counter", help);
        for (labels, value) in values {
            self.line(&name, labels, *value as f64);
        }
    }

    fn histogram(&mut self, name: &str, help: &str, times: &Times) {
        self.head(name, "histogram", help);
        let mut below = 0;
        for (bound, count) in BOUNDS_S.iter().zip(times.counts) {
            below += count;
            let label = format!("le=\"{bound:?}\"");
            self.line(&format!("{name}_bucket"), &label, below as f64);
        }
        self.line(&format!("{name}_bucket"), "le=\"+Inf\"", times.count as f64);
        self.line(&format!("{name}_count"), "", times.count as f64);
        self.line(&format!("{name}_sum"), "", times.sum_s);
    }
}

/// `/metrics`.
pub(crate) fn page(config: &Config, scheduler: &Scheduler, process_start_s: f64) -> String {
    let model = config.model.replace('\\', "\\\\").replace('"', "\\\"");
    let mut page = Page {
        text: String::with_capacity(8 << 10),
        labels: format!("engine=\"0\",model_name=\"{model}\""),
    };
    page.head(
        "process_start_time_seconds",
        "gauge",
        "Unix time at which the process began.",
    );
    _ = writeln!(page.text, "process_start_time_seconds {process_start_s:?}");
    load(&mut page, scheduler);
    cache(&mut page, config, &scheduler.counters);
    requests(&mut page, &scheduler.counters);
    if !config.loras.is_empty() {
        adapters(&mut page, config, scheduler);
    }
    page.text
}

fn load(page: &mut Page, scheduler: &Scheduler) {
    let waiting = scheduler.waiting();
    page.gauge(
        "vllm:num_requests_running",
        "Requests in the batch.",
        scheduler.running() as f64,
    );
    page.gauge(
        "vllm:num_requests_waiting",
        "Requests that wait for a place in it.",
        waiting as f64,
    );
    let by_reason = "vllm:num_requests_waiting_by_reason";
    page.head(by_reason, "gauge", "Requests that wait, by what for.");
    page.line(by_reason, "reason=\"capacity\"", waiting as f64);
    page.line(by_reason, "reason=\"deferred\"", 0.0);
    page.gauge(
        "vllm:kv_cache_usage_perc",
        "Share of blocks in use by requests, 1 is all.",
        scheduler.usage(),
    );
}

fn cache(page: &mut Page, config: &Config, counters: &Counters) {
    page.counter(
        "vllm:prefix_cache_queries",
        "Prompt tokens looked up in the prefix cache.",
        counters.queries,
    );
    page.counter(
        "vllm:prefix_cache_hits",
        "Prompt tokens found there.",
        counters.hits,
    );
    let info = "vllm:cache_config_info";
    page.head(info, "gauge", "The cache's configuration, in labels.");
    let cache = &config.cache;
    let (size, blocks, algorithm) = (cache.block_tokens, cache.blocks, cache.algorithm.name());
    let tokens = size * blocks;
    // This family has no model_name.
    _ = writeln!(
        page.text,
        "{info}{{block_size=\"{size}\",cache_dtype=\"auto\",enable_prefix_caching=\"True\",\
         engine=\"0\",kv_cache_size_tokens=\"{tokens}\",num_cpu_blocks=\"None\",\
         num_gpu_blocks=\"{blocks}\",num_gpu_blocks_override=\"{blocks}\",\
         prefix_caching_hash_algo=\"{algorithm}\",sliding_window=\"None\"}} 1.0"
    );
}

fn requests(page: &mut Page, counters: &Counters) {
    let (prompt, cached) = (counters.prompt_tokens, counters.cached_tokens);
    page.counter(
        "vllm:num_preemptions",
        "Times that a request gave its blocks back.",
        counters.preemptions,
    );
    page.counter("vllm:prompt_tokens", "Prompt tokens processed.", prompt);
    page.counters(
        "vllm:prompt_tokens_by_source",
        "Prompt tokens, by where their keys and values came from.",
        &[
            ("source=\"local_compute\"", prompt - cached),
            ("source=\"local_cache_hit\"", cached),
            ("source=\"external_kv_transfer\"", 0),
        ],
    );
    page.counter(
        "vllm:prompt_tokens_cached",
        "Prompt tokens that were cached.",
        cached,
    );
    page.counter(
        "vllm:generation_tokens",
        "Tokens of answers.",
        counters.generation_tokens,
    );
    page.counters(
        "vllm:request_success",
        "Requests that ended, by how.",
        &[
            ("finished_reason=\"stop\"", counters.stopped),
            ("finished_reason=\"length\"", counters.cut),
            ("finished_reason=\"abort\"", counters.aborted),
        ],
    );
    page.histogram(
        "vllm:time_to_first_token_seconds",
        "Time to the first token.",
        &counters.first_token,
    );
    page.histogram(
        "vllm:e2e_request_latency_seconds",
        "Time to the last token.",
        &counters.whole,
    );
}

fn adapters(page: &mut Page, config: &Config, scheduler: &Scheduler) {
    let info = "vllm:lora_requests_info";
    page.head(info, "gauge", "Adapters of running and waiting requests.");
    let [running, waiting] = scheduler.adapters().map(|names| names.join(","));
    _ = writeln!(
        page.text,
        "{info}{{max_lora=\"{}\",running_lora_adapters=\"{running}\",\
         waiting_lora_adapters=\"{waiting}\"}} 1.0",
        config.loras.len()
    );
}

#[cfg(test)]
mod tests;
