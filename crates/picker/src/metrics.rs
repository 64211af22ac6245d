//! What the picker counts, under the reference's names. docs/picker.md describes each.

mod flow;

use crate::{machine::Finished, refusal::Code};
use flow::FlowMetrics;
use onefill_kv::Knowledge;
use onefill_schedule::Receipt;
use parking_lot::Mutex;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Metric, Registry},
};
use std::{collections::HashSet, time::Duration};

/// What a request is counted under.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) model_name: String,
    pub(crate) target_model_name: String,
    pub(crate) fairness_id: String,
    pub(crate) priority: i32,
}

/// Values of a label that clients choose; beyond the bound they are one.
#[derive(Debug, Default)]
struct Bounded(Mutex<HashSet<String>>);

/// Values kept for one label.
const VALUES_MAX: usize = 1000;

impl Bounded {
    fn kept(&self, value: String) -> String {
        let mut known = self.0.lock();
        if known.contains(&value) {
            return value;
        }
        if known.len() >= VALUES_MAX {
            return "other".to_owned();
        }
        known.insert(value.clone());
        value
    }
}

#[derive(Debug, Default)]
struct Names {
    model: Bounded,
    target: Bounded,
    fairness: Bounded,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    error_code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

/// All families, and handles of those whose labels are known beforehand.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    names: Names,
    errors: Family<CodeLabel, Counter>,
    duration: Histogram,
    first_byte: Histogram,
    pub(crate) request_bytes: Histogram,
    response_bytes: Histogram,
    reported: Reported,
    pub(crate) decision: Histogram,
    pub(crate) streams: Gauge,
    pub(crate) streams_total: Counter,
    pub(crate) overflowed: Counter,
    picks: Family<StateLabel, Counter>,
    pub(crate) diverted: Counter,
    pub(crate) in_flight: Gauge,
    prediction_error: Histogram,
    pub(crate) flow: FlowMetrics,
}

/// What endpoints report.
#[derive(Debug)]
struct Reported {
    input_tokens: Histogram,
    output_tokens: Histogram,
    cached_tokens: Histogram,
}

impl Reported {
    fn new(made: &mut Maker) -> Self {
        let tokens = || exponential_buckets(1.0, 4.0, 11);
        Self {
            input_tokens: made.histogram(
                "llm_d_epp_request_input_tokens",
                "Prompt tokens, as the endpoint reports",
                tokens(),
            ),
            output_tokens: made.histogram(
                "llm_d_epp_request_output_tokens",
                "Generated tokens, as the endpoint reports",
                tokens(),
            ),
            cached_tokens: made.histogram(
                "llm_d_epp_request_cached_tokens",
                "Cached prompt tokens, as the endpoint reports",
                tokens(),
            ),
        }
    }
}

/// Makes metrics, and puts each into the registry.
struct Maker {
    registry: Registry,
    /// Whether the reference's older names are told too.
    old_names: bool,
}

/// The reference's names (without what the kind of a metric adds), and its older ones.
const OLD_NAMES: [(&str, &str); 10] = [
    ("llm_d_epp_request", "inference_objective_request"),
    (
        "llm_d_epp_request_error",
        "inference_objective_request_error",
    ),
    (
        "llm_d_epp_request_duration_seconds",
        "inference_objective_request_duration_seconds",
    ),
    (
        "llm_d_epp_request_size_bytes",
        "inference_objective_request_sizes",
    ),
    (
        "llm_d_epp_response_size_bytes",
        "inference_objective_response_sizes",
    ),
    (
        "llm_d_epp_request_input_tokens",
        "inference_objective_input_tokens",
    ),
    (
        "llm_d_epp_request_output_tokens",
        "inference_objective_output_tokens",
    ),
    (
        "llm_d_epp_request_cached_tokens",
        "inference_objective_prompt_cached_tokens",
    ),
    (
        "llm_d_epp_scheduler_e2e_duration_seconds",
        "inference_extension_scheduler_e2e_duration_seconds",
    ),
    (
        "llm_d_epp_flow_control_",
        "inference_extension_flow_control_",
    ),
];

/// The older name of a metric, where it has one.
fn old_name(name: &str) -> Option<String> {
    let whole = OLD_NAMES.iter().find(|(new, _)| *new == name);
    if let Some((_, old)) = whole {
        return Some((*old).to_owned());
    }
    let family = OLD_NAMES.iter().filter(|(new, _)| new.ends_with('_'));
    let mut renamed =
        family.filter_map(|(new, old)| Some(format!("{old}{}", name.strip_prefix(new)?)));
    renamed.next()
}

impl Maker {
    fn add<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        let metric = M::default();
        self.register(name, help, &metric);
        metric
    }

    fn register<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: &M) {
        if let Some(old) = old_name(name).filter(|_| self.old_names) {
            self.registry.register(old, help, metric.clone());
        }
        self.registry.register(name, help, metric.clone());
    }

    fn histogram(
        &mut self,
        name: &str,
        help: &str,
        bounds: impl Iterator<Item = f64>,
    ) -> Histogram {
        let metric = Histogram::new(bounds);
        self.register(name, help, &metric);
        metric
    }
}

impl Metrics {
    /// `old_names`: whether the reference's older names are told too.
    pub(crate) fn new(old_names: bool) -> Self {
        let mut made = Maker {
            registry: Registry::default(),
            old_names,
        };
        let seconds = || exponential_buckets(0.005, 2.0, 16);
        let bytes = || exponential_buckets(64.0, 4.0, 12);
        // A millisecond is one of the bounds, and so is each of its doubles.
        let short = || exponential_buckets(0.001 / 32.0, std::f64::consts::SQRT_2, 30);
        Self {
            requests: made.add("llm_d_epp_request", "Requests picked for"),
            names: Names::default(),
            errors: made.add("llm_d_epp_request_error", "Requests refused, by code"),
            duration: made.histogram(
                "llm_d_epp_request_duration_seconds",
                "From the choice to the end of the answer",
                seconds(),
            ),
            first_byte: made.histogram(
                "llm_d_epp_request_ttft_seconds",
                "From the choice to the first byte of the answer's body",
                seconds(),
            ),
            request_bytes: made.histogram(
                "llm_d_epp_request_size_bytes",
                "Bytes of requests' bodies",
                bytes(),
            ),
            response_bytes: made.histogram(
                "llm_d_epp_response_size_bytes",
                "Bytes of answers' bodies",
                bytes(),
            ),
            reported: Reported::new(&mut made),
            decision: made.histogram(
                "llm_d_epp_scheduler_e2e_duration_seconds",
                "From a request's last byte to the answer where it goes",
                short(),
            ),
            streams: made.add(
                "llm_d_epp_extproc_streams_inflight",
                "Requests and answers that go by",
            ),
            streams_total: made.add("llm_d_epp_extproc_streams", "Requests that came by, ever"),
            overflowed: made.add(
                "onefill_picker_overflowed",
                "Requests turned away because too many went by already",
            ),
            picks: made.add(
                "onefill_picker_picks",
                "Endpoints chosen, by how well the chosen one's cache was known",
            ),
            diverted: made.add(
                "onefill_picker_diverted",
                "Requests that the data plane sent elsewhere than picked",
            ),
            in_flight: made.add(
                "onefill_picker_in_flight",
                "Requests sent to endpoints and not over",
            ),
            prediction_error: made.histogram(
                "onefill_picker_prediction_error_tokens",
                "Difference of expected and reported cached tokens, where a cache is known exactly",
                std::iter::once(0.0).chain(exponential_buckets(1.0, 4.0, 10)),
            ),
            flow: FlowMetrics::new(&mut made),
            registry: made.registry,
        }
    }

    /// Prometheus text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            tracing::error!("metrics can't be written");
        }
        onefill_fleet::prometheus_text(&text)
    }

    pub(crate) fn request(&self, labels: RequestLabels) {
        let labels = RequestLabels {
            model_name: self.names.model.kept(labels.model_name),
            target_model_name: self.names.target.kept(labels.target_model_name),
            fairness_id: self.names.fairness.kept(labels.fairness_id),
            ..labels
        };
        self.requests.get_or_create(&labels).inc();
    }

    pub(crate) fn refused(&self, code: Code) {
        let label = CodeLabel {
            error_code: code.name(),
        };
        self.errors.get_or_create(&label).inc();
    }

    /// An answer began; only 200 is a good one, as in the reference.
    pub(crate) fn answered(&self, status: u16) {
        if status != 200 {
            let error_code = "ModelServerError";
            self.errors.get_or_create(&CodeLabel { error_code }).inc();
        }
    }

    pub(crate) fn picked(&self, receipt: &Receipt) {
        let label = StateLabel {
            state: receipt.knowledge.name(),
        };
        self.picks.get_or_create(&label).inc();
    }

    pub(crate) fn first_byte(&self, after: Duration) {
        self.first_byte.observe(after.as_secs_f64());
    }

    pub(crate) fn done(&self, after: Duration, finished: &Finished) {
        self.duration.observe(after.as_secs_f64());
        self.response_bytes.observe(finished.bytes as f64);
        let usage = finished.usage;
        for (told, into) in [
            (usage.prompt_tokens, &self.reported.input_tokens),
            (usage.output_tokens, &self.reported.output_tokens),
            (usage.cached_tokens, &self.reported.cached_tokens),
        ] {
            if let Some(tokens) = told {
                into.observe(f64::from(tokens));
            }
        }
    }

    pub(crate) fn compared(&self, knowledge: Knowledge, difference: u32) {
        if knowledge == Knowledge::Exact {
            self.prediction_error.observe(f64::from(difference));
        }
    }
}

#[cfg(test)]
mod tests;
