//! What a router is told. Each bound has a unit in its name and a default with its reason.

use onefill_kv::KeySeed;
use onefill_prompt::Prompter;
use onefill_record::Recorder;
use onefill_schedule::Policy;
use std::{collections::HashMap, sync::Arc, time::Duration};

/// Everything that a router is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// How replicas are chosen.
    pub policy: Policy,
    /// Secret of the deployment's keys: the same that the fleet writes the index with.
    pub seed: KeySeed,
    /// Tokenizers in process.
    pub tokenizers: Tokenizers,
    /// Bounds in numbers and bytes.
    pub limits: Limits,
    /// Bounds in time.
    pub timeouts: Timeouts,
    /// When a replica is left alone.
    pub circuit: CircuitLimits,
    /// Keys of which clients must show one (`Authorization: Bearer KEY`); empty: none is asked.
    pub api_keys: Vec<String>,
    /// TLS towards clients.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// TLS towards `https://` replicas.
    pub upstream_tls: Option<Arc<rustls::ClientConfig>>,
    /// Threads that serve, each with a runtime and connections of its own; 0: all on the caller's
    /// runtime (tests, programs that embed a router).
    pub threads: usize,
    /// Where requests are recorded, without a word of them; `None`: nowhere.
    pub record: Option<Recorder>,
}

impl Config {
    /// A router with this policy and defaults for all else.
    #[must_use]
    pub fn new(policy: Policy, seed: KeySeed) -> Self {
        Self {
            policy,
            seed,
            tokenizers: Tokenizers::default(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            circuit: CircuitLimits::default(),
            api_keys: Vec::new(),
            tls: None,
            upstream_tls: None,
            threads: 0,
            record: None,
        }
    }
}

/// Tokenizers in process; models without one are tokenized by their replicas.
#[derive(Clone, Debug, Default)]
pub struct Tokenizers {
    /// For models that `by_model` does not name.
    pub default: Option<Arc<Prompter>>,
    /// By the name that requests use (a `LoRA` adapter takes its base model's).
    pub by_model: HashMap<String, Arc<Prompter>>,
}

impl Tokenizers {
    /// The tokenizer of a model.
    pub(crate) fn of(&self, model: &str) -> Option<&Arc<Prompter>> {
        self.by_model.get(model).or(self.default.as_ref())
    }
}

/// Bounds in numbers and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Largest request body; beyond it 413. 64 MiB: a million tokens of text with images.
    pub body_bytes_max: usize,
    /// Requests forwarded at once. 4,096: more than any fleet under a thousand replicas runs well.
    pub in_flight_max: usize,
    /// Requests that wait when `in_flight_max` is reached; beyond it 429.
    pub queue_max: usize,
    /// Replicas tried for one request before its failure is the client's.
    pub attempts_max: u32,
    /// Idle connections kept to one replica, for each thread.
    pub idle_connections_max: usize,
    /// Connections of clients; beyond it none is accepted until one ends.
    pub connections_max: usize,
    /// Bodies above this are tokenized on a thread aside, so that others don't wait for them.
    /// 64 KiB: some 4 ms of a tokenizer.
    pub tokenize_inline_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 64 << 20,
            in_flight_max: 4096,
            queue_max: 1024,
            attempts_max: 3,
            idle_connections_max: 256,
            connections_max: 16_384,
            tokenize_inline_bytes: 64 << 10,
        }
    }
}

/// Bounds in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// From a connection (or the end of the last answer) to a whole request head.
    pub header: Duration,
    /// Between two pieces of a request's body.
    pub body_idle: Duration,
    /// For a connection to a replica.
    pub connect: Duration,
    /// From a request sent to the first byte of its answer's body: queueing and prefill.
    pub first_byte: Duration,
    /// Between two pieces of an answer.
    pub answer_idle: Duration,
    /// In the queue; beyond it 503.
    pub queue: Duration,
    /// For a replica's answer to a tokenize request; beyond it the request is routed without.
    pub tokenize: Duration,
    /// How long a connection to a replica may idle. 4 s: the engine's server closes after 5.
    pub upstream_idle: Duration,
    /// For requests in flight when the router is asked to stop.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(60),
            body_idle: Duration::from_secs(30),
            connect: Duration::from_secs(2),
            first_byte: Duration::from_secs(600),
            answer_idle: Duration::from_secs(300),
            queue: Duration::from_secs(30),
            tokenize: Duration::from_millis(500),
            upstream_idle: Duration::from_secs(4),
            drain: Duration::from_secs(30),
        }
    }
}

/// When a replica is left alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CircuitLimits {
    /// Failures in a row that open a replica's circuit.
    pub failures: u32,
    /// How long it stays open before one request may try.
    pub open: Duration,
}

impl Default for CircuitLimits {
    fn default() -> Self {
        Self {
            failures: 3,
            open: Duration::from_secs(2),
        }
    }
}
