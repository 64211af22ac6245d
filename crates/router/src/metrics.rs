//! What the router counts. Families are registered once, here; the hot path holds handles.
//! docs/metrics.md describes each (a test compares).

use crate::{config::Config, error::Fault};
use onefill_kv::Knowledge;
use onefill_prompt::Door;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    door: &'static str,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    fault: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PickLabels {
    policy: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabel {
    cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabel {
    source: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabel {
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReplicaLabels {
    replica: String,
    rank: String,
}

/// Why a request was sent again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RetryCause {
    /// No connection.
    Connect,
    /// The connection broke before an answer.
    Broken,
    /// The replica said 503.
    Busy,
    /// An idle connection was closed; the same replica was asked again.
    Stale,
}

/// Where a prompt's tokens came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TokenSource {
    /// The tokenizer in process, or the body's own token ids.
    Local,
    /// The replica's.
    Replica,
    /// None: keys over the text.
    Text,
    /// None, and no keys: the size is guessed.
    Size,
}

impl TokenSource {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Replica => "replica",
            Self::Text => "text",
            Self::Size => "size",
        }
    }
}

/// All families, and handles of those whose labels are known beforehand.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    errors: Family<ErrorLabels, Counter>,
    picks: [Counter; 3],
    retries: [Counter; 4],
    sources: [Counter; 4],
    distrusted: Family<ModelLabel, Gauge>,
    pub(crate) prompt_tokens: Counter,
    pub(crate) overlap_tokens: Counter,
    pub(crate) reported_prompt_tokens: Counter,
    pub(crate) reported_cached_tokens: Counter,
    pub(crate) prediction_error: Histogram,
    pub(crate) added: Histogram,
    pub(crate) first_byte: Histogram,
    pub(crate) duration: Histogram,
    pub(crate) in_flight: Gauge,
    pub(crate) queued: Gauge,
    pub(crate) connections: Gauge,
    pub(crate) record: RecordCounters,
    replicas: ReplicaFamilies,
}

/// Requests in the record and beside it.
#[derive(Debug)]
pub(crate) struct RecordCounters {
    pub(crate) kept: Counter,
    pub(crate) left_out: Counter,
}

/// Families with a series for each replica.
#[derive(Debug)]
struct ReplicaFamilies {
    requests: Family<ReplicaLabels, Counter>,
    failures: Family<ReplicaLabels, Counter>,
    in_flight: Family<ReplicaLabels, Gauge>,
    circuit_open: Family<ReplicaLabels, Gauge>,
}

/// One replica's handles.
#[derive(Clone, Debug)]
pub(crate) struct ReplicaMetrics {
    labels: ReplicaLabels,
    pub(crate) requests: Counter,
    pub(crate) failures: Counter,
    pub(crate) in_flight: Gauge,
    pub(crate) circuit_open: Gauge,
}

const KNOWLEDGE: [Knowledge; 3] = [
    Knowledge::Exact,
    Knowledge::Approximate,
    Knowledge::LoadOnly,
];
const SOURCES: [TokenSource; 4] = [
    TokenSource::Local,
    TokenSource::Replica,
    TokenSource::Text,
    TokenSource::Size,
];
const RETRIES: [&str; 4] = ["connect", "broken", "busy", "stale"];

impl Metrics {
    pub(crate) fn new(config: &Config) -> Self {
        let mut made = Maker {
            registry: Registry::with_prefix("onefill"),
        };
        let picks: Family<PickLabels, Counter> = made.add(
            "picks",
            "Replicas chosen, by policy and by how well the cache was known",
        );
        let retries: Family<CauseLabel, Counter> = made.add(
            "retries",
            "Requests sent again before any byte of an answer, by cause",
        );
        let sources: Family<SourceLabel, Counter> =
            made.add("prompts", "Prompts, by where their tokens came from");
        let policy = config.policy.name();
        Self {
            picks: KNOWLEDGE.map(|known| {
                picks.get_or_create_owned(&PickLabels {
                    policy,
                    state: known.name(),
                })
            }),
            retries: RETRIES.map(|cause| retries.get_or_create_owned(&CauseLabel { cause })),
            sources: SOURCES.map(|from| {
                sources.get_or_create_owned(&SourceLabel {
                    source: from.name(),
                })
            }),
            requests: made.add("requests", "Requests answered, by door and status code"),
            errors: made.add("errors", "Errors answered by the router, by whose fault"),
            distrusted: made.add(
                "tokenizer_distrusted",
                "1 where the tokenizer in process differs from the replicas' and is not used",
            ),
            prompt_tokens: made.add("prompt_tokens", "Prompt tokens routed"),
            overlap_tokens: made.add("overlap_tokens", "Prompt tokens expected in the cache"),
            reported_prompt_tokens: made.add(
                "reported_prompt_tokens",
                "Prompt tokens where the replica told its cache hits",
            ),
            reported_cached_tokens: made.add(
                "reported_cached_tokens",
                "Prompt tokens that replicas told to have had cached",
            ),
            prediction_error: made.histogram(
                "prediction_error_tokens",
                "Difference of expected and reported cached tokens, in state exact",
                [0.0, 1.0, 16.0, 32.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0],
            ),
            added: made.seconds(
                "added",
                "Time from a request's last byte to its sending on",
                exponential_buckets(10e-6, 2.0, 16),
            ),
            first_byte: made.seconds(
                "first_byte",
                "Time from a request's last byte to the first byte of its answer's body",
                exponential_buckets(1e-3, 2.0, 18),
            ),
            duration: made.seconds(
                "request_duration",
                "Time from a request's last byte to the last of its answer",
                exponential_buckets(1e-3, 2.0, 20),
            ),
            in_flight: made.add("in_flight", "Requests being answered"),
            queued: made.add("queued", "Requests waiting for one of those to end"),
            connections: made.add("connections", "Connections of clients"),
            record: RecordCounters::new(&mut made),
            replicas: ReplicaFamilies::new(&mut made),
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

    pub(crate) fn answered(&self, door: &'static str, code: u16) {
        self.requests
            .get_or_create(&RequestLabels { door, code })
            .inc();
    }

    pub(crate) fn error(&self, fault: Fault, code: &'static str) {
        self.errors
            .get_or_create(&ErrorLabels {
                fault: fault.name(),
                code,
            })
            .inc();
    }

    pub(crate) fn picked(&self, knowledge: Knowledge) {
        self.picks[knowledge as usize].inc();
    }

    pub(crate) fn retried(&self, cause: RetryCause) {
        self.retries[cause as usize].inc();
    }

    pub(crate) fn prompt(&self, source: TokenSource) {
        self.sources[source as usize].inc();
    }

    pub(crate) fn distrust(&self, model: &str, distrusted: bool) {
        let label = ModelLabel {
            model: model.to_owned(),
        };
        self.distrusted
            .get_or_create(&label)
            .set(i64::from(distrusted));
    }

    pub(crate) fn replica(&self, url: &str, rank: Option<u32>) -> ReplicaMetrics {
        let rank = rank.map_or_else(String::new, |rank| rank.to_string());
        let labels = ReplicaLabels {
            replica: url.to_owned(),
            rank,
        };
        ReplicaMetrics {
            requests: self.replicas.requests.get_or_create_owned(&labels),
            failures: self.replicas.failures.get_or_create_owned(&labels),
            in_flight: self.replicas.in_flight.get_or_create_owned(&labels),
            circuit_open: self.replicas.circuit_open.get_or_create_owned(&labels),
            labels,
        }
    }

    /// A replica is gone: its series end.
    pub(crate) fn forget(&self, replica: &ReplicaMetrics) {
        self.replicas.requests.remove(&replica.labels);
        self.replicas.failures.remove(&replica.labels);
        self.replicas.in_flight.remove(&replica.labels);
        self.replicas.circuit_open.remove(&replica.labels);
    }
}

impl RecordCounters {
    fn new(made: &mut Maker) -> Self {
        Self {
            kept: made.add("recorded", "Requests that went into the record"),
            left_out: made.add(
                "unrecorded",
                "Requests left out of the record: its queue was full, or its disk failed",
            ),
        }
    }
}

impl ReplicaFamilies {
    fn new(made: &mut Maker) -> Self {
        Self {
            requests: made.add("replica_requests", "Requests sent, by replica"),
            failures: made.add(
                "replica_failures",
                "Requests that failed or were refused, by replica",
            ),
            in_flight: made.add("replica_in_flight", "Requests in flight, by replica"),
            circuit_open: made.add(
                "replica_circuit_open",
                "1 while a replica is left alone after failures",
            ),
        }
    }
}

struct Maker {
    registry: Registry,
}

impl Maker {
    fn add<M>(&mut self, name: &str, help: &str) -> M
    where
        M: prometheus_client::registry::Metric + Clone + Default,
    {
        let metric = M::default();
        self.registry.register(name, help, metric.clone());
        metric
    }

    fn histogram<const N: usize>(&mut self, name: &str, help: &str, bounds: [f64; N]) -> Histogram {
        let metric = Histogram::new(bounds);
        self.registry.register(name, help, metric.clone());
        metric
    }

    fn seconds(&mut self, name: &str, help: &str, bounds: impl Iterator<Item = f64>) -> Histogram {
        let metric = Histogram::new(bounds);
        self.registry
            .register_with_unit(name, help, Unit::Seconds, metric.clone());
        metric
    }
}

/// Label of a door.
pub(crate) const fn door_name(door: Door) -> &'static str {
    match door {
        Door::Chat => "chat",
        Door::Completions => "completions",
        Door::Responses => "responses",
        Door::Messages => "messages",
        Door::Embeddings => "embeddings",
        Door::Other => "other",
    }
}
