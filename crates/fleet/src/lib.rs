//! Replicas that come and go: discovery, health, load, event feeds. The only writer of the index.
#![forbid(unsafe_code)]

mod ask;
mod discovery;
mod feed;
mod figures;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod kubernetes;
mod registry;
mod sequence;
mod supervise;
mod writer;

use feed::FeedState;
use onefill_index::{History, IndexConfig, IndexReader};
use onefill_kv::{KeySeed, Knowledge, REPLICAS_MAX, ReplicaId};
use parking_lot::Mutex;
use registry::Registry;
use serde_json::{Value as Json, json};
use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use writer::Writer;

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

    /// All that is known, for people and tools.
    pub fn debug(&self) -> Json {
        let replicas: Vec<Json> = self
            .view
            .load()
            .replicas
            .iter()
            .map(|each| debug(each))
            .collect();
        let stats = self.writer.stats();
        json!({
            "replicas": replicas,
            "index": {
                "memory_bytes": stats.memory_bytes, "blocks": stats.blocks, "pairs": stats.pairs,
                "orphans": stats.orphans, "dropped": stats.dropped, "refused": stats.refused,
            },
        })
    }

    /// Figures in Prometheus' text format.
    pub fn prometheus(&self) -> String {
        let mut text = String::new();
        for family in FAMILIES {
            header(&mut text, family.name, family.help, family.kind);
            for replica in &self.view.load().replicas {
                let rank = replica
                    .rank
                    .map(|rank| rank.to_string())
                    .unwrap_or_default();
                let value = (family.value)(replica, &replica.status());
                let Family { name, .. } = family;
                let url = &replica.url;
                text.push_str(&format!(
                    "{name}{{replica=\"{url}\",rank=\"{rank}\"}} {value}\n"
                ));
            }
        }
        let stats = self.writer.stats();
        for (name, help, kind, value) in [
            (
                "onefill_index_memory_bytes",
                "Memory that the index takes.",
                "gauge",
                stats.memory_bytes as u64,
            ),
            (
                "onefill_index_blocks",
                "Distinct blocks known.",
                "gauge",
                stats.blocks,
            ),
            (
                "onefill_index_pairs",
                "Pairs of a block and a replica's tier that holds it.",
                "gauge",
                stats.pairs,
            ),
            (
                "onefill_index_orphans",
                "Blocks parked until their parent is told of.",
                "gauge",
                stats.orphans,
            ),
            (
                "onefill_index_dropped_total",
                "Blocks forgotten for lack of memory.",
                "counter",
                stats.dropped,
            ),
            (
                "onefill_index_refused_total",
                "Blocks refused: namespace not known, or no room.",
                "counter",
                stats.refused,
            ),
        ] {
            header(&mut text, name, help, kind);
            text.push_str(&format!("{name} {value}\n"));
        }
        text
    }
}

fn header(text: &mut String, name: &str, help: &str, kind: &str) {
    text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
}

/// A metric that every replica has.
struct Family {
    name: &'static str,
    help: &'static str,
    kind: &'static str,
    value: fn(&Replica, &Status) -> f64,
}

/// A counter of a replica's feed; 0 without a feed.
fn of_feed(replica: &Replica, read: impl Fn(&FeedState) -> u64) -> f64 {
    replica
        .feed
        .lock()
        .as_ref()
        .map_or(0.0, |feed| read(feed) as f64)
}

const FAMILIES: &[Family] = &[
    Family {
        name: "onefill_fleet_up",
        help: "Whether the replica answers its health path.",
        kind: "gauge",
        value: |_, status| f64::from(u8::from(status.health == Health::Up)),
    },
    Family {
        name: "onefill_fleet_exact",
        help: "Whether the replica's cache is known exactly, by its events.",
        kind: "gauge",
        value: |_, status| f64::from(u8::from(status.knowledge == Knowledge::Exact)),
    },
    Family {
        name: "onefill_fleet_held_blocks",
        help: "Blocks that the index says the replica holds in its own cache.",
        kind: "gauge",
        value: |replica, _| of_feed(replica, |feed| feed.applied.held_blocks.load(Relaxed)),
    },
    Family {
        name: "onefill_fleet_events_total",
        help: "Events applied to the index.",
        kind: "counter",
        value: |replica, _| of_feed(replica, |feed| feed.applied.events.load(Relaxed)),
    },
    Family {
        name: "onefill_fleet_unknown_events_total",
        help: "Events of an unknown type or medium, skipped.",
        kind: "counter",
        value: |replica, _| of_feed(replica, |feed| feed.applied.unknown_events.load(Relaxed)),
    },
    Family {
        name: "onefill_fleet_decode_errors_total",
        help: "Event batches that could not be read.",
        kind: "counter",
        value: |replica, _| of_feed(replica, |feed| feed.applied.decode_errors.load(Relaxed)),
    },
    Family {
        name: "onefill_fleet_gaps_total",
        help: "Holes in the numbers of event batches.",
        kind: "counter",
        value: |replica, _| of_feed(replica, |feed| feed.gaps.load(Relaxed)),
    },
    Family {
        name: "onefill_fleet_replays_total",
        help: "Times that old event batches were asked for.",
        kind: "counter",
        value: |replica, _| of_feed(replica, |feed| feed.replays.load(Relaxed)),
    },
    Family {
        name: "onefill_fleet_resyncs_total",
        help: "Times that what was known of the replica was thrown away.",
        kind: "counter",
        value: |replica, _| of_feed(replica, |feed| feed.resyncs.load(Relaxed)),
    },
];

fn debug(replica: &Replica) -> Json {
    let status = replica.status();
    let models: Vec<&str> = status
        .models
        .iter()
        .map(|model| model.id.as_str())
        .collect();
    json!({
        "id": replica.id.0,
        "url": replica.url,
        "rank": replica.rank,
        "health": match status.health { Health::Up => "up", Health::Down => "down", Health::Unknown => "unknown" },
        "knowledge": status.knowledge.name(),
        "why": status.why,
        "models": models,
        "block_tokens": status.block_tokens,
        "capacity_blocks": status.capacity_blocks,
        "held_blocks": of_feed(replica, |feed| feed.applied.held_blocks.load(Relaxed)) as u64,
        "history_blocks": replica.history.lock().len(),
        "running": status.load.running,
        "waiting": status.load.waiting,
        "kv_usage": status.load.kv_usage,
    })
}

/// Starts watching. Ends when `shutdown` is cancelled. Called within a tokio runtime.
pub fn start(config: FleetConfig, shutdown: CancellationToken) -> FleetHandle {
    let index_config = IndexConfig {
        memory_bytes_max: config.index_memory_bytes,
        replicas_max: REPLICAS_MAX,
        ..IndexConfig::default()
    };
    let (index_writer, index) = onefill_index::index(&index_config);
    let writer = Writer::start(index_writer, config.seed, shutdown.clone());
    let registry = Arc::new(Registry::default());
    let view = registry.view();
    let shared = supervise::Shared {
        config: Arc::new(config),
        registry,
        writer: writer.clone(),
    };
    tokio::spawn(follow(shared, shutdown));
    FleetHandle {
        view,
        index,
        writer,
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
