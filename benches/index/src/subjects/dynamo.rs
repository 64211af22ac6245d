//! dynamo-kv-router's two trees: the concurrent one that it runs by default, and the single-threaded
//! one.

use std::sync::Arc;
use std::thread::JoinHandle;

use dynamo_kv_router::indexer::{SyncIndexer, WorkerTask};
use dynamo_kv_router::protocols::{
    ExternalSequenceBlockHash, KvCacheEvent, KvCacheEventData, KvCacheRemoveData, KvCacheStoreData,
    KvCacheStoredBlockData, LocalBlockHash, OverlapScores, RouterEvent, WorkerWithDpRank,
};
use dynamo_kv_router::{ConcurrentRadixTreeCompressed, RadixTree};
use tokio::sync::oneshot;

use super::{Event, Subject};
use crate::meter::{ThreadClock, cpu_ns, times_of};
use crate::work::{Node, REPLICAS};

fn router_event(event_id: u64, event: &Event) -> RouterEvent {
    let (replica, data) = match event {
        Event::Store {
            replica,
            parent,
            blocks,
        } => {
            let block = |node: &Node| KvCacheStoredBlockData {
                block_hash: ExternalSequenceBlockHash(node.hash.0),
                tokens_hash: LocalBlockHash(node.content.0),
                mm_extra_info: None,
            };
            let data = KvCacheStoreData {
                parent_hash: parent.map(|hash| ExternalSequenceBlockHash(hash.0)),
                start_position: None,
                blocks: blocks.iter().map(block).collect(),
            };
            (*replica, KvCacheEventData::Stored(data))
        }
        Event::Remove { replica, blocks } => {
            let hashes = blocks
                .iter()
                .map(|node| ExternalSequenceBlockHash(node.hash.0));
            let data = KvCacheRemoveData {
                block_hashes: hashes.collect(),
            };
            (*replica, KvCacheEventData::Removed(data))
        }
    };
    RouterEvent::new(
        replica.into(),
        KvCacheEvent {
            event_id,
            data,
            dp_rank: 0,
        },
    )
}

fn router_events(events: &[Event]) -> Vec<RouterEvent> {
    (0..)
        .zip(events)
        .map(|(id, event)| router_event(id, event))
        .collect()
}

fn content(node: &Node) -> LocalBlockHash {
    LocalBlockHash(node.content.0)
}

fn dense(found: &OverlapScores) -> [u32; REPLICAS] {
    let of = |at: usize| found.scores.get(&WorkerWithDpRank::new(at as u64, 0));
    std::array::from_fn(|at| of(at).copied().unwrap_or(0))
}

/// The default tree with one writer thread behind its channel. Only the writer's CPU time counts,
/// not that of whoever feeds it.
pub struct Crtc {
    tree: Arc<ConcurrentRadixTreeCompressed>,
    tasks: flume::Sender<WorkerTask>,
    clock: ThreadClock,
    writer: Option<JoinHandle<()>>,
}

impl Crtc {
    pub fn new() -> Self {
        let tree = Arc::new(ConcurrentRadixTreeCompressed::new());
        let (tasks, todo) = flume::unbounded();
        let (tell, told) = flume::bounded(1);
        let of = Arc::clone(&tree);
        let writer = std::thread::spawn(move || {
            let _ = tell.send(ThreadClock::here());
            let _ = of.worker(todo, None);
        });
        let clock = told.recv().expect("the writer has begun");
        Self {
            tree,
            tasks,
            clock,
            writer: Some(writer),
        }
    }
}

impl Drop for Crtc {
    fn drop(&mut self) {
        let _ = self.tasks.send(WorkerTask::Terminate);
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl Subject for Crtc {
    fn name(&self) -> &'static str {
        "dynamo CRTC"
    }

    fn apply(&mut self, events: &[Event]) -> f64 {
        let before = self.clock.cpu_ns();
        for event in router_events(events) {
            let _ = self.tasks.send(WorkerTask::Event(event));
        }
        let (done, flushed) = oneshot::channel();
        let _ = self.tasks.send(WorkerTask::Flush(done));
        let _ = flushed.blocking_recv();
        self.clock.wait_for_sleep();
        self.clock.cpu_ns() - before
    }

    fn time(&mut self, queries: &[Vec<Node>]) -> Vec<(&'static str, Vec<u64>)> {
        let found = times_of(queries, content, |keys: &[LocalBlockHash]| {
            std::hint::black_box(self.tree.find_matches(keys, false));
        });
        vec![("dynamo CRTC", found)]
    }

    fn scores(&mut self, query: &[Node]) -> [u32; REPLICAS] {
        let keys: Vec<_> = query.iter().map(content).collect();
        dense(&self.tree.find_matches(&keys, false))
    }
}

/// The tree of one thread.
pub struct Radix(RadixTree);

impl Radix {
    pub fn new() -> Self {
        Self(RadixTree::new())
    }
}

impl Subject for Radix {
    fn name(&self) -> &'static str {
        "dynamo RadixTree"
    }

    fn apply(&mut self, events: &[Event]) -> f64 {
        let own = router_events(events);
        cpu_ns(|| {
            for event in own {
                let _ = self.0.apply_event(event);
            }
        })
    }

    fn time(&mut self, queries: &[Vec<Node>]) -> Vec<(&'static str, Vec<u64>)> {
        let found = times_of(queries, content, |keys: &[LocalBlockHash]| {
            std::hint::black_box(self.0.find_matches(keys.to_vec(), false));
        });
        vec![("dynamo RadixTree", found)]
    }

    fn scores(&mut self, query: &[Node]) -> [u32; REPLICAS] {
        dense(
            &self
                .0
                .find_matches(query.iter().map(content).collect(), false),
        )
    }
}
