//! What a picker is told. Each bound has a unit in its name and a default with its reason.

use crate::{pods::Pods, rules::Rules, setup::Setup};
use onefill_kv::KeySeed;
use onefill_prompt::Prompter;
use onefill_schedule::Policy;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::watch;

/// Everything that a picker is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// How endpoints are chosen.
    pub policy: Policy,
    /// Secret of the deployment's keys: the same that the fleet writes the index with.
    pub seed: KeySeed,
    /// Tokenizer of models that `tokenizers` does not name.
    pub tokenizer: Option<Arc<Prompter>>,
    /// Tokenizers by model.
    pub tokenizers: HashMap<String, Arc<Prompter>>,
    /// Names and labels of endpoints; `None`: only addresses are known.
    pub pods: Option<watch::Receiver<Arc<Pods>>>,
    /// How endpoints are chosen, in place of `policy`'s cost.
    pub setup: Option<Arc<Setup>>,
    /// Priorities and rewrites.
    pub rules: watch::Receiver<Arc<Rules>>,
    /// Longest time between two readings of an endpoint's load, as the fleet is told.
    pub load_interval_max: Duration,
    /// Endpoints told for one request, the best first. More than one is for proxies that try the
    /// next where one fails (`override_host`); `ORIGINAL_DST` takes one only.
    pub destinations: usize,
    /// Whether the data plane's subset hints are obeyed.
    pub subsets: bool,
    /// Whether each endpoint's score goes into the metadata.
    pub emit_scores: bool,
    /// The codes of the reference where its own specification says otherwise.
    pub reference_codes: bool,
    /// Whether answers go by the picker. Without, it does not know when a request is over, and is
    /// told no usage.
    pub responses: bool,
    /// Whether metrics are told under the reference's older names too.
    pub old_metric_names: bool,
    /// Bounds in numbers and bytes.
    pub limits: Limits,
    /// Bounds in time.
    pub timeouts: Timeouts,
}

impl Config {
    /// A picker with defaults for all but these.
    #[must_use]
    pub fn new(policy: Policy, seed: KeySeed) -> Self {
        Self {
            policy,
            seed,
            tokenizer: None,
            tokenizers: HashMap::new(),
            pods: None,
            setup: None,
            rules: watch::channel(Arc::default()).1,
            load_interval_max: Duration::from_secs(5),
            destinations: 1,
            subsets: true,
            emit_scores: false,
            reference_codes: false,
            responses: true,
            old_metric_names: false,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }

    /// The tokenizer of a model.
    pub(crate) fn tokenizer_of(&self, model: &str) -> Option<&Arc<Prompter>> {
        self.tokenizers.get(model).or(self.tokenizer.as_ref())
    }
}

/// Bounds in numbers and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Largest request body; beyond it 413. 64 MiB: a million tokens of text with images.
    pub body_bytes_max: usize,
    /// Bytes of bodies held at once, over all requests; beyond it 429. 1 GiB: 2,500 prompts of
    /// 100,000 tokens that come at the same moment.
    pub bodies_bytes_max: usize,
    /// Requests and their answers that go by at once; beyond it 429. 40,000: the connections that
    /// proxies are usually set to.
    pub streams_max: usize,
    /// Envoy's connections; beyond it none is accepted until one ends.
    pub connections_max: usize,
    /// Largest message of Envoy's. 4 MiB, as in the reference; buffered bodies come in one message.
    pub message_bytes_max: usize,
    /// Bodies above this are tokenized on a thread aside, so that others don't wait for them.
    /// 64 KiB: some 4 ms of a tokenizer.
    pub tokenize_inline_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 64 << 20,
            bodies_bytes_max: 1 << 30,
            streams_max: 40_000,
            connections_max: 4096,
            message_bytes_max: 4 << 20,
            tokenize_inline_bytes: 64 << 10,
        }
    }
}

/// Bounds in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// From a request's headers to the last of its body; beyond it 408.
    pub body: Duration,
    /// For an endpoint's answer to a prompt that it is to tokenize; beyond it the endpoint is chosen
    /// without.
    pub tokenize: Duration,
    /// For a TLS handshake.
    pub handshake: Duration,
    /// How long requests are still taken after the picker is asked to stop: proxies need a while to
    /// hear of it.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            body: Duration::from_secs(60),
            tokenize: Duration::from_millis(500),
            handshake: Duration::from_secs(10),
            drain: Duration::from_secs(30),
        }
    }
}
