//! Replicas that come and go: discovery, health, load, event feeds. The only writer of the index.
#![forbid(unsafe_code)]

use onefill_index::{History, IndexReader};
use onefill_kv::{KeySeed, Knowledge, ReplicaId};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Where replicas are found.
#[derive(Clone, Debug)]
pub enum Discovery {
    /// Given addresses.
    Static(Vec<ReplicaSpec>),
    /// A file that is read again when it changes.
    File(std::path::PathBuf),
    /// Addresses of a (headless) service's name.
    Dns {
        /// Name to resolve.
        name: String,
        /// Port of each replica.
        port: u16,
    },
    /// `EndpointSlices` of Kubernetes.
    Kubernetes {
        /// Namespace; `None`: the pod's own.
        namespace: Option<String>,
        /// Label selector of the slices.
        selector: String,
        /// Port of each replica; `None`: the slice's.
        port: Option<u16>,
    },
}

/// A replica as configured: what is `None` is asked of the replica.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReplicaSpec {
    /// `http://HOST:PORT` (or https).
    pub url: String,
    /// `tcp://HOST:PORT` of its event publisher.
    pub events: Option<String>,
    /// `tcp://HOST:PORT` of its replay socket.
    pub replay: Option<String>,
    /// Tokens a block.
    pub block_tokens: Option<u32>,
    /// Blocks of its cache.
    pub capacity_blocks: Option<u32>,
}

/// How the fleet watches.
#[derive(Clone, Debug)]
pub struct FleetConfig {
    /// Where replicas are found.
    pub discovery: Discovery,
    /// Secret of the deployment's keys.
    pub seed: KeySeed,
    /// Whether to subscribe to event feeds at all.
    pub events: bool,
    /// Memory for the index.
    pub index_memory_bytes: usize,
    /// Longest time between two readings of a replica's metrics.
    pub load_interval_max: Duration,
    /// Time after which a probe has failed.
    pub probe_timeout: Duration,
}

/// One model that a replica serves (`/v1/models`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServedModel {
    /// Name that requests use.
    pub id: String,
    /// Base model's name where this is a `LoRA` adapter.
    pub lora_of: Option<String>,
    /// Path of the model or adapter, as the replica knows it.
    pub root: Option<String>,
    /// Longest prompt and answer together.
    pub max_model_len: Option<u32>,
}

/// Whether requests may be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// Not asked yet.
    Unknown,
    /// Answers its health path.
    Up,
    /// Does not.
    Down,
}

/// Load as last heard.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Load {
    /// Requests in the batch.
    pub running: u32,
    /// Requests queued.
    pub waiting: u32,
    /// Share of the KV cache in use, 0 to 1.
    pub kv_usage: f32,
    /// When.
    pub heard: Option<std::time::Instant>,
}

/// What is known of a replica now.
#[derive(Clone, PartialEq, Debug)]
pub struct Status {
    /// Whether requests may be sent.
    pub health: Health,
    /// Models served.
    pub models: Arc<[ServedModel]>,
    /// Tokens a block; `None`: not known, so nothing can be looked up.
    pub block_tokens: Option<u32>,
    /// Blocks of its cache.
    pub capacity_blocks: Option<u32>,
    /// Load.
    pub load: Load,
    /// How well its cache is known.
    pub knowledge: Knowledge,
    /// Why it is not exact, in words for a person; empty when exact.
    pub why: String,
    /// Blocks that the index says it holds in its own cache.
    pub held_blocks: u64,
}

/// A replica of the fleet. The same one as long as its address stays.
#[derive(Debug)]
pub struct Replica {
    /// Its number, for the index and the scheduler.
    pub id: ReplicaId,
    /// `http://HOST:PORT`.
    pub url: String,
    /// Data-parallel rank behind that address, where there are several.
    pub rank: Option<u32>,
    status: arc_swap::ArcSwap<Status>,
    history: Mutex<History>,
}

impl Replica {
    /// What is known of it now.
    pub fn status(&self) -> arc_swap::Guard<Arc<Status>> {
        self.status.load()
    }

    /// What this router sent there.
    pub fn history(&self) -> &Mutex<History> {
        &self.history
    }
}

/// All replicas at one moment.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// In order of their numbers.
    pub replicas: Vec<Arc<Replica>>,
}

/// A running fleet.
#[derive(Clone, Debug)]
pub struct FleetHandle {
    view: Arc<arc_swap::ArcSwap<Fleet>>,
    index: IndexReader,
}

impl FleetHandle {
    /// All replicas now.
    pub fn view(&self) -> arc_swap::Guard<Arc<Fleet>> {
        self.view.load()
    }

    /// The index that the event feeds write.
    pub fn index(&self) -> &IndexReader {
        &self.index
    }

    /// Tells that a connection to the replica failed: it is probed at once.
    pub fn suspect(&self, replica: ReplicaId) {
        let _ = replica;
    }
}

/// Starts watching. Ends when `shutdown` is cancelled.
pub fn start(config: FleetConfig, shutdown: CancellationToken) -> FleetHandle {
    let _ = (config, shutdown);
    let (_, index) = onefill_index::index(&onefill_index::IndexConfig::default());
    FleetHandle { view: Arc::default(), index }
}
