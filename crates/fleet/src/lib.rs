//! Replicas that come and go: discovery, health, load, event feeds. The only writer of the index.
#![forbid(unsafe_code)]

mod ask;
mod discovery;
mod exposition;
mod feed;
mod figures;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod kubernetes;
mod registry;
mod sequence;
mod supervise;
mod tell;
mod warm;
mod writer;

pub use exposition::prometheus_text;
use feed::FeedState;
use onefill_index::{History, IndexConfig, IndexReader, IndexWriter, snapshot};
use onefill_kv::{KeySeed, Knowledge, ReplicaId};
use parking_lot::Mutex;
use registry::Registry;
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Acquire},
    },
    time::Duration,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use warm::Kept;
pub use warm::snapshot_seed;
use writer::Writer;

/// Where replicas are found.
#[derive(Clone, Debug)]
pub enum Discovery {
    /// Given addresses.
    Static(Vec<ReplicaSpec>),
    /// A file that is read again when it changes.
    File(std::path::PathBuf),
    /// A list that the caller keeps up to date.
    Followed(tokio::sync::watch::Receiver<Vec<ReplicaSpec>>),
    /// Addresses of a (headless) service's name.
    Dns {
        /// Name to resolve.
        name: String,
        /// Port of each replica.
        port: u16,
        /// Where each publishes events, if it is too old to tell.
        feeds: FeedPorts,
    },
    /// Pods of Kubernetes.
    Kubernetes {
        /// Namespace; `None`: the router's own.
        namespace: Option<String>,
        /// Label selector of the pods.
        selector: String,
        /// Port of each replica; `None`: the pod's first.
        port: Option<u16>,
    },
}

/// Ports of a replica's event publisher; what is `None` is asked of the replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FeedPorts {
    /// Of its events.
    pub events: Option<u16>,
    /// Of old ones.
    pub replay: Option<u16>,
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
    /// File in which the index is kept from one run to the next; `None`: it begins empty.
    pub snapshot: Option<PathBuf>,
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

/// `LoRA` adapters of a replica, as its metrics tell.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Adapters {
    /// Loaded.
    pub running: Vec<String>,
    /// Waiting to be.
    pub waiting: Vec<String>,
    /// Most that may be loaded at once; 0 where it has none.
    pub max: u32,
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
    /// Adapters.
    pub adapters: Arc<Adapters>,
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
    feed: Mutex<Option<Arc<FeedState>>>,
    /// Told when a connection to it failed: it is probed at once.
    wake: Arc<Notify>,
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
    writer: Writer,
    facts: Arc<AtomicU64>,
    snapshot: Option<(PathBuf, KeySeed)>,
    /// Keeps connections between questions.
    http: ask::Http,
}

impl FleetHandle {
    /// All replicas now.
    pub fn view(&self) -> arc_swap::Guard<Arc<Fleet>> {
        self.view.load()
    }

    /// Counts changes of what replicas are, beside their load and their caches: health, models, block
    /// size. Read before them, it says later whether what was made of them still holds.
    pub fn facts(&self) -> u64 {
        self.facts.load(Acquire)
    }

    /// The index that the event feeds write.
    pub fn index(&self) -> &IndexReader {
        &self.index
    }

    /// Tells that a connection to the replica failed: it is probed at once.
    pub fn suspect(&self, replica: ReplicaId) {
        if let Some(replica) = self
            .view
            .load()
            .replicas
            .iter()
            .find(|each| each.id == replica)
        {
            replica.wake.notify_one();
        }
    }

    /// What a replica answers to a JSON body posted to `path`; `None` unless it is 200 in time.
    pub async fn ask(
        &self,
        replica: &Replica,
        path: &str,
        body: bytes::Bytes,
        timeout: Duration,
    ) -> Option<bytes::Bytes> {
        ask::Asker::new(self.http.clone(), &replica.url, timeout)
            .post(path, body)
            .await
    }

    /// Writes the index down for the next run, where that is configured. Meanwhile no event is
    /// applied: some ten nanoseconds a block.
    ///
    /// # Errors
    /// Where the file can't be written.
    pub fn save(&self) -> std::io::Result<()> {
        let Some((path, seed)) = &self.snapshot else {
            return Ok(());
        };
        let view = self.view.load();
        let fed = |replica: &Arc<Replica>| {
            let feed = replica.feed.lock();
            Some((replica.id, Arc::clone(&feed.as_ref()?.applied)))
        };
        let feeds: Vec<_> = view.replicas.iter().filter_map(fed).collect();
        let name = |id: ReplicaId, mark: &warm::Mark| {
            let replica = view.replicas.iter().find(|replica| replica.id == id);
            let name = replica.map(|replica| (replica.url.clone(), replica.rank));
            warm::write_name(&name.unwrap_or_default(), mark)
        };
        let bytes = self.writer.save(warm::identity(*seed), &feeds, &name);
        warm::write(path, *seed, &bytes)
    }
}

/// Starts watching. Ends when `shutdown` is cancelled. Called within a tokio runtime.
pub fn start(config: FleetConfig, shutdown: CancellationToken) -> FleetHandle {
    let index_config = IndexConfig {
        memory_bytes_max: config.index_memory_bytes,
        ..IndexConfig::default()
    };
    let (kept, index_writer, index) = begin(&config, &index_config);
    let writer = Writer::start(index_writer, config.seed, shutdown.clone());
    let registry = Arc::new(Registry::with_kept(kept));
    let handle = FleetHandle {
        view: registry.view(),
        index,
        writer: writer.clone(),
        facts: Arc::default(),
        snapshot: config.snapshot.clone().map(|path| (path, config.seed)),
        http: ask::http(),
    };
    let keeping = keep(handle.clone(), Arc::clone(&registry));
    tokio::spawn(shutdown.clone().run_until_cancelled_owned(keeping));
    let shared = supervise::Shared {
        config: Arc::new(config),
        registry,
        writer,
        facts: Arc::clone(&handle.facts),
    };
    tokio::spawn(follow(shared, shutdown));
    handle
}

/// The index of the last run, or an empty one.
fn begin(config: &FleetConfig, index: &IndexConfig) -> (Kept, IndexWriter, IndexReader) {
    let empty = || {
        let (writer, reader) = onefill_index::index(index);
        (Kept::new(), writer, reader)
    };
    let Some(path) = &config.snapshot else {
        return empty();
    };
    let bytes = match warm::read(path) {
        Ok(None) => return empty(),
        Ok(Some((_, bytes))) => bytes,
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "the index's snapshot can't be read: it begins empty");
            return empty();
        }
    };
    let mut kept = Kept::new();
    let loaded = snapshot::load(index, warm::identity(config.seed), &bytes, &mut |saved| {
        warm::keep(&mut kept, &saved)
    });
    match loaded {
        Ok((writer, reader)) => {
            let blocks = writer.stats().blocks;
            tracing::info!(
                blocks,
                replicas = kept.len(),
                "the index of the last run is taken up"
            );
            (kept, writer, reader)
        }
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "the index's snapshot is of no use: it begins empty");
            empty()
        }
    }
}

/// Writes the index down from time to time, and forgets replicas of the last run that stay away.
async fn keep(handle: FleetHandle, registry: Arc<Registry>) {
    if handle.snapshot.is_none() {
        return;
    }
    tokio::time::sleep(warm::CLAIM_WITHIN).await;
    for replica in registry.unclaimed() {
        handle.writer.forget(replica);
    }
    loop {
        let saving = handle.clone();
        let saved = tokio::task::spawn_blocking(move || saving.save()).await;
        if let Ok(Err(error)) = saved {
            tracing::warn!(%error, "the index can't be written down");
        }
        tokio::time::sleep(warm::SAVE_INTERVAL).await;
    }
}

/// Keeps a supervisor for each address that discovery finds.
async fn follow(shared: supervise::Shared, shutdown: CancellationToken) {
    let mut found = discovery::watch(shared.config.discovery.clone(), shutdown.clone());
    let mut running: HashMap<String, (ReplicaSpec, CancellationToken)> = HashMap::new();
    loop {
        let specs = found.borrow_and_update().clone();
        running.retain(|_, (spec, stop)| {
            let stays = specs.contains(spec);
            if !stays {
                stop.cancel();
            }
            stays
        });
        for spec in specs {
            running.entry(spec.url.clone()).or_insert_with(|| {
                let stop = shutdown.child_token();
                tokio::spawn(supervise::run(spec.clone(), shared.clone(), stop.clone()));
                (spec, stop)
            });
        }
        if found.changed().await.is_err() {
            // Discovery is over: a static list never changes.
            return shutdown.cancelled().await;
        }
    }
}
