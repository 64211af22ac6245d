//! What a simulated replica is told. Defaults are vLLM's, but for sizes: those are a small model's.

use crate::faults::Order;
use onefill_events::encode::HashForm;
use onefill_kv::engine_hash::Algorithm;
use std::path::PathBuf;

/// Everything that a simulated replica is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name of the model.
    pub model: String,
    /// Names of `LoRA` adapters.
    pub loras: Vec<String>,
    /// Folder of a real tokenizer; `None`: the simulated one.
    pub tokenizer: Option<PathBuf>,
    /// The block cache.
    pub cache: Cache,
    /// How fast it computes.
    pub speed: Speed,
    /// Bounds of the batch.
    pub batch: Batch,
    /// Where events are published; `None`: nowhere.
    pub events: Option<Events>,
    /// Answers differ between seeds, and are the same for one.
    pub seed: u64,
    /// What is wrong with it from the start.
    pub faults: Order,
}

/// The block cache.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cache {
    /// Blocks, the one counted that vLLM keeps for itself.
    pub blocks: u32,
    /// Tokens a block.
    pub block_tokens: u32,
    /// Longest prompt and answer together; `None`: what the cache holds.
    pub model_len_max: Option<u32>,
    /// How blocks are named.
    pub algorithm: Algorithm,
    /// `PYTHONHASHSEED`.
    pub hash_seed: Option<String>,
    /// How events write names.
    pub hash_form: HashForm,
}

/// How fast a replica computes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Speed {
    /// Prompt tokens a second, of all requests together; 0: prefill takes no time.
    pub prefill_tokens_s: f64,
    /// Tokens a second of each answer, however many there are; 0: decoding takes no time.
    pub decode_tokens_s: f64,
}

/// Bounds of the batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Batch {
    /// Requests that run at once.
    pub seqs_max: usize,
    /// Tokens of one step: longer prompts are computed in several.
    pub batched_tokens_max: usize,
}

/// Where events are published.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Events {
    /// `tcp://HOST:PORT` to bind; `*` is every address, port 0 a free one.
    pub endpoint: String,
    /// The same for the replay socket; `None`: there is none.
    pub replay: Option<String>,
    /// First frame of each message.
    pub topic: String,
    /// Batches kept for replay.
    pub buffer_batches: usize,
}

/// An adapter as requests use it.
#[derive(Debug)]
pub(crate) struct Adapter {
    pub(crate) name: String,
    /// Where the replica found it: part of its blocks' names.
    pub(crate) path: String,
    pub(crate) number: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            model: "simulated".into(),
            loras: Vec::new(),
            tokenizer: None,
            cache: Cache {
                blocks: 4096,
                block_tokens: 16,
                model_len_max: None,
                algorithm: Algorithm::Sha256Cbor,
                hash_seed: None,
                hash_form: HashForm::Int,
            },
            speed: Speed {
                prefill_tokens_s: 0.0,
                decode_tokens_s: 0.0,
            },
            batch: Batch {
                seqs_max: 256,
                batched_tokens_max: 8192,
            },
            events: None,
            seed: 0,
            faults: Order::default(),
        }
    }
}

impl Events {
    /// vLLM's defaults at these addresses.
    #[must_use]
    pub fn at(endpoint: &str, replay: Option<&str>) -> Self {
        Self {
            endpoint: endpoint.into(),
            replay: replay.map(Into::into),
            topic: String::new(),
            buffer_batches: 10_000,
        }
    }
}

impl Config {
    /// Longest prompt and answer together: as told, but never more than the cache holds.
    pub(crate) fn model_len(&self) -> usize {
        let usable = self
            .cache
            .blocks
            .saturating_sub(crate::blocks::BLOCKS_RESERVED);
        let holds = usable as usize * self.cache.block_tokens as usize;
        let told = self
            .cache
            .model_len_max
            .map_or(usize::MAX, |most| most as usize);
        holds.min(told)
    }
}
