//! onefill.

use onefill_index::{Block, IndexConfig, IndexReader, IndexWriter, Overlaps, Parent};
use onefill_kv::{BlockKey, ContentHash, EngineHash, ReplicaId, Tier};

use super::{Event, Subject};
use crate::meter::{Latency, cpu_ns, latency_of};
use crate::work::{Node, REPLICAS, ROOT};

/// The index beside its readers.
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

/// An event in onefill's types.
pub enum OwnEvent {
    Store(ReplicaId, Parent, Vec<Block>),
    Remove(ReplicaId, Vec<EngineHash>),
}

impl OwnEvent {
    pub fn blocks(&self) -> usize {
        match self {
            Self::Store(_, _, blocks) => blocks.len(),
            Self::Remove(_, hashes) => hashes.len(),
        }
    }

    pub fn apply(&self, writer: &mut IndexWriter) {
        match self {
            Self::Store(replica, parent, blocks) => {
                writer.stored(*replica, Tier::Gpu, *parent, blocks);
            }
            Self::Remove(replica, hashes) => writer.removed(*replica, Tier::Gpu, hashes),
        }
    }
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

impl Subject for Onefill {
    fn name(&self) -> &'static str {
        "onefill"
    }

    fn apply(&mut self, events: &[Event]) -> f64 {
        let own = own(events);
        cpu_ns(|| {
            for event in own {
                event.apply(&mut self.writer);
            }
        })
    }

    /// A router hashes a prompt once and asks with keys; who has contents alone pays for chaining
    /// them too, as the second figure shows.
    fn time(&mut self, queries: &[Vec<Node>]) -> Vec<(&'static str, Latency)> {
        let (reader, out) = (&self.reader, &mut self.out);
        let by_key = latency_of(queries, |node| node.key, |keys: &[BlockKey]| {
            reader.lookup(keys, out);
            std::hint::black_box(&*out);
        });
        let keys = &mut self.keys;
        let by_content = latency_of(queries, |node| node.content, |contents: &[ContentHash]| {
            keys.clear();
            keys.extend(contents.iter().scan(ROOT, |key, content| {
                *key = key.extend(*content);
                Some(*key)
            }));
            reader.lookup(keys, out);
            std::hint::black_box(&*out);
        });
        vec![("onefill", by_key), ("onefill, chaining too", by_content)]
    }

    fn scores(&mut self, query: &[Node]) -> [u32; REPLICAS] {
        self.keys.clear();
        self.keys.extend(query.iter().map(|node| node.key));
        self.reader.lookup(&self.keys, &mut self.out);
        std::array::from_fn(|replica| self.out.get(ReplicaId(replica as u16)).blocks())
    }
}
