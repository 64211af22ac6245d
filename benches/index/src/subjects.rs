//! The indexes, each driven through its own interface with its own types, made before the clock runs.

use std::sync::Arc;

use dynamo_kv_router::indexer::{SyncIndexer, WorkerTask};
use dynamo_kv_router::protocols::{
    ExternalSequenceBlockHash, KvCacheEvent, KvCacheEventData, KvCacheRemoveData, KvCacheStoreData,
    KvCacheStoredBlockData, LocalBlockHash, RouterEvent,
};
use dynamo_kv_router::{ConcurrentRadixTreeCompressed, RadixTree};
use kv_index::{ChainBlockMap, ChainIndex, ContentHash, SequenceHash, StoredBlock};
use onefill_index::{Block, IndexConfig, IndexReader, IndexWriter, Overlaps, Parent};
use onefill_kv::{BlockKey, EngineHash, ReplicaId, Tier};

use crate::meter::{Latency, cpu_ns_per, latency, thread_cpu};
use crate::work::{Node, REPLICAS, ROOT};

/// One event.
#[derive(Clone, Debug)]
pub enum Event {
    Store { replica: u16, parent: Option<EngineHash>, blocks: Vec<Node> },
    Remove { replica: u16, blocks: Vec<Node> },
}

/// Blocks in events.
pub fn blocks(events: &[Event]) -> usize {
    let of = |event: &Event| match event {
        Event::Store { blocks, .. } | Event::Remove { blocks, .. } => blocks.len(),
    };
    events.iter().map(of).sum()
}

/// An index under test.
pub trait Subject {
    fn name(&self) -> &'static str;

    /// Applies events; CPU nanoseconds a block.
    fn apply(&mut self, events: &[Event]) -> f64;

    /// Looks queries up one by one.
    fn time(&mut self, queries: &[Vec<Node>]) -> Latency;

    /// One query's scores.
    fn scores(&mut self, query: &[Node]) -> [u32; REPLICAS];

    /// Bytes that it says it takes, if it says.
    fn own_bytes(&self) -> Option<usize> {
        None
    }
}

/// Runs `call` over queries turned into `K`s; the query's keys are written just before each call, as
/// the hasher of a request's tokens does.
fn time_keys<K: Copy>(
    queries: &[Vec<Node>],
    key: impl Fn(&Node) -> K,
    call: impl FnMut(&[K]),
) -> Latency {
    let buffer = std::cell::RefCell::new(Vec::new());
    let call = std::cell::RefCell::new(call);
    latency(
        queries.len(),
        |at| {
            let mut buffer = buffer.borrow_mut();
            buffer.clear();
            buffer.extend(queries[at].iter().map(&key));
        },
        |_| (call.borrow_mut())(&buffer.borrow()),
    )
}

/// onefill.
pub struct Onefill {
    pub writer: IndexWriter,
    pub reader: IndexReader,
    out: Overlaps,
    keys: Vec<BlockKey>,
}

impl Default for Onefill {
    fn default() -> Self {
        let (writer, reader) = onefill_index::index(&IndexConfig::default());
        Self { writer, reader, out: Overlaps::default(), keys: Vec::new() }
    }
}

/// Events in onefill's types.
pub enum OwnEvent {
    Store(ReplicaId, Parent, Vec<Block>),
    Remove(ReplicaId, Vec<EngineHash>),
}

pub fn own(events: &[Event]) -> Vec<OwnEvent> {
    let own = |event: &Event| match event {
        Event::Store { replica, parent, blocks } => {
            let block = |node: &Node| Block { hash: node.hash, content: node.content };
            let parent = parent.map_or(Parent::Root(ROOT), Parent::Hash);
            OwnEvent::Store(ReplicaId(*replica), parent, blocks.iter().map(block).collect())
        }
        Event::Remove { replica, blocks } => {
            OwnEvent::Remove(ReplicaId(*replica), blocks.iter().map(|node| node.hash).collect())
        }
    };
    events.iter().map(own).collect()
}

pub fn apply_own(writer: &mut IndexWriter, event: &OwnEvent) {
    match event {
        OwnEvent::Store(replica, parent, blocks) => {
            writer.stored(*replica, Tier::Gpu, *parent, blocks);
        }
        OwnEvent::Remove(replica, hashes) => writer.removed(*replica, Tier::Gpu, hashes),
    }
}

impl Subject for Onefill {
    fn name(&self) -> &'static str {
        "onefill"
    }

    fn apply(&mut self, events: &[Event]) -> f64 {
        let own = own(events);
        cpu_ns_per(blocks(events), || {
            for event in own {
                apply_own(&mut self.writer, &event);
            }
        })
    }

    fn time(&mut self, queries: &[Vec<Node>]) -> Latency {
        let (reader, out) = (&self.reader, &mut self.out);
        time_keys(queries, |node| node.key, |keys| {
            reader.lookup(keys, out);
            std::hint::black_box(&*out);
        })
    }

    fn scores(&mut self, query: &[Node]) -> [u32; REPLICAS] {
        self.keys.clear();
        self.keys.extend(query.iter().map(|node| node.key));
        self.reader.lookup(&self.keys, &mut self.out);
        std::array::from_fn(|replica| self.out.get(ReplicaId(replica as u16)).blocks())
    }

    fn own_bytes(&self) -> Option<usize> {
        Some(self.writer.stats().memory_bytes)
    }
}

/// kv-index's `ChainIndex`; scores by `score_into` to a dense array, or by `find_matches`.
pub struct Chain {
    index: ChainIndex,
    maps: Vec<ChainBlockMap>,
    ids: Vec<u32>,
    into: bool,
}

impl Chain {
    pub fn new(into: bool) -> Self {
        let index = ChainIndex::with_max_workers(REPLICAS);
        let ids = (0..REPLICAS).map(|at| index.intern_worker(&format!("w{at}")).unwrap_or(0));
        let ids = ids.collect();
        Self { index, maps: (0..REPLICAS).map(|_| ChainBlockMap::new()).collect(), ids, into }
    }
}

enum ChainEvent {
    Store(usize, Option<SequenceHash>, Vec<StoredBlock>),
    Remove(usize, Vec<SequenceHash>),
}

impl Subject for Chain {
    fn name(&self) -> &'static str {
        if self.into { "kv-index score_into" } else { "kv-index find_matches" }
    }

    fn apply(&mut self, events: &[Event]) -> f64 {
        let own = events.iter().map(|event| match event {
            Event::Store { replica, parent, blocks } => {
                let block = |node: &Node| StoredBlock {
                    seq_hash: SequenceHash(node.hash.0),
                    content_hash: ContentHash(node.content.0),
                };
                let parent = parent.map(|hash| SequenceHash(hash.0));
                ChainEvent::Store((*replica).into(), parent, blocks.iter().map(block).collect())
            }
            Event::Remove { replica, blocks } => {
                let hashes = blocks.iter().map(|node| SequenceHash(node.hash.0));
                ChainEvent::Remove((*replica).into(), hashes.collect())
            }
        });
        let own: Vec<ChainEvent> = own.collect();
        cpu_ns_per(blocks(events), || {
            for event in own {
                match event {
                    ChainEvent::Store(replica, parent, blocks) => {
                        let map = &mut self.maps[replica];
                        let _ = self.index.apply_stored(self.ids[replica], &blocks, parent, map);
                    }
                    ChainEvent::Remove(replica, hashes) => {
                        let map = &mut self.maps[replica];
                        self.index.apply_removed(self.ids[replica], &hashes, map);
                    }
                }
            }
        })
    }

    fn time(&mut self, queries: &[Vec<Node>]) -> Latency {
        let mut dense = [0_u32; REPLICAS];
        time_keys(queries, |node| ContentHash(node.content.0), |keys| {
            if self.into {
                dense.fill(0);
                let report = |worker: u32, score| dense[worker as usize % REPLICAS] = score;
                self.index.score_into(keys, |key| key.0, false, report);
                std::hint::black_box(&dense);
            } else {
                std::hint::black_box(self.index.find_matches(keys, false));
            }
        })
    }

    fn scores(&mut self, query: &[Node]) -> [u32; REPLICAS] {
        let keys: Vec<_> = query.iter().map(|node| ContentHash(node.content.0)).collect();
        let found = self.index.find_matches(&keys, false);
        std::array::from_fn(|at| found.scores.get(&self.ids[at]).copied().unwrap_or(0))
    }
}

fn router_events(events: &[Event]) -> Vec<RouterEvent> {
    let data = |event: &Event| match event {
        Event::Store { replica, parent, blocks } => {
            let block = |node: &Node| KvCacheStoredBlockData {
                block_hash: ExternalSequenceBlockHash(node.hash.0),
                tokens_hash: LocalBlockHash(node.content.0),
                mm_extra_info: None,
            };
            let parent_hash = parent.map(|hash| ExternalSequenceBlockHash(hash.0));
            let blocks = blocks.iter().map(block).collect();
            let data = KvCacheStoreData { parent_hash, start_position: None, blocks };
            (*replica, KvCacheEventData::Stored(data))
        }
        Event::Remove { replica, blocks } => {
            let hashes = blocks.iter().map(|node| ExternalSequenceBlockHash(node.hash.0));
            let data = KvCacheRemoveData { block_hashes: hashes.collect() };
            (*replica, KvCacheEventData::Removed(data))
        }
    };
    let router = |(event_id, event): (u64, &Event)| {
        let (replica, data) = data(event);
        RouterEvent::new(replica.into(), KvCacheEvent { event_id, data, dp_rank: 0 })
    };
    (0..).zip(events).map(router).collect()
}

/// dynamo-kv-router's default: the concurrent compressed tree, with one writer thread fed by a
/// channel that is full before the clock runs.
pub struct Crtc {
    tree: Arc<ConcurrentRadixTreeCompressed>,
    events: Option<flume::Sender<Task>>,
    writer: Option<std::thread::JoinHandle<()>>,
}

enum Task {
    Apply(flume::Receiver<WorkerTask>, flume::Sender<std::time::Duration>),
}

impl Crtc {
    pub fn new() -> Self {
        Self { tree: Arc::new(ConcurrentRadixTreeCompressed::new()), events: None, writer: None }
    }
}
