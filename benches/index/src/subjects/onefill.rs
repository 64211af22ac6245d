//! onefill.

use std::ops::Range;

use onefill_index::{Block, IndexConfig, IndexReader, IndexWriter, Overlaps, Parent};
use onefill_kv::{BlockKey, ContentHash, EngineHash, ReplicaId, Tier};

use super::{Event, REMOVED_AT_ONCE, Subject};
use crate::meter::{cpu_ns, times_of};
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
        Self {
            writer,
            reader,
            out: Overlaps::default(),
            keys: Vec::new(),
        }
    }
}

/// Events in onefill's types: slices of two buffers, as a decoder hands them out.
#[derive(Default)]
pub struct OwnEvents {
    events: Vec<OwnEvent>,
    blocks: Vec<Block>,
    hashes: Vec<EngineHash>,
}

pub enum OwnEvent {
    Store(ReplicaId, Parent, Range<usize>),
    Remove(ReplicaId, Range<usize>),
}

impl OwnEvent {
    pub fn blocks(&self) -> usize {
        match self {
            Self::Store(_, _, blocks) => blocks.len(),
            Self::Remove(_, hashes) => hashes.len(),
        }
    }
}

impl OwnEvents {
    pub fn new(events: &[Event]) -> Self {
        let mut own = Self::default();
        own.extend(events);
        own
    }

    pub fn extend(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Store {
                    replica,
                    parent,
                    blocks,
                } => {
                    let first = self.blocks.len();
                    let block = |node: &Node| Block {
                        hash: node.hash,
                        content: node.content,
                    };
                    self.blocks.extend(blocks.iter().map(block));
                    let parent = parent.map_or(Parent::Root(ROOT), Parent::Hash);
                    let blocks = first..self.blocks.len();
                    self.events
                        .push(OwnEvent::Store(ReplicaId(*replica), parent, blocks));
                }
                Event::Remove { replica, blocks } => self.remove(*replica, blocks),
            }
        }
    }

    fn remove(&mut self, replica: u16, blocks: &[Node]) {
        let first = self.hashes.len();
        self.hashes.extend(blocks.iter().map(|node| node.hash));
        match self.events.last_mut() {
            Some(OwnEvent::Remove(of, before))
                if of.0 == replica && before.len() + blocks.len() <= REMOVED_AT_ONCE =>
            {
                before.end = self.hashes.len();
            }
            _ => self.events.push(OwnEvent::Remove(
                ReplicaId(replica),
                first..self.hashes.len(),
            )),
        }
    }

    pub fn events(&self) -> &[OwnEvent] {
        &self.events
    }

    pub fn apply(&self, event: &OwnEvent, writer: &mut IndexWriter) {
        match event {
            OwnEvent::Store(replica, parent, blocks) => {
                writer.stored(*replica, Tier::Gpu, *parent, &self.blocks[blocks.clone()]);
            }
            OwnEvent::Remove(replica, hashes) => {
                writer.removed(*replica, Tier::Gpu, &self.hashes[hashes.clone()]);
            }
        }
    }
}

impl Subject for Onefill {
    fn name(&self) -> &'static str {
        "onefill"
    }

    fn apply(&mut self, events: &[Event]) -> f64 {
        let own = OwnEvents::new(events);
        cpu_ns(|| {
            for event in own.events() {
                own.apply(event, &mut self.writer);
            }
        })
    }

    /// A router hashes a prompt once and asks with keys; who has contents alone pays for chaining
    /// them too, as the second figure shows.
    fn time(&mut self, queries: &[Vec<Node>]) -> Vec<(&'static str, Vec<u64>)> {
        let (reader, out) = (&self.reader, &mut self.out);
        let by_key = times_of(
            queries,
            |node| node.key,
            |keys: &[BlockKey]| {
                reader.lookup(keys, out);
                std::hint::black_box(&*out);
            },
        );
        let keys = &mut self.keys;
        let by_content = times_of(
            queries,
            |node| node.content,
            |contents: &[ContentHash]| {
                keys.clear();
                keys.extend(contents.iter().scan(ROOT, |key, content| {
                    *key = key.extend(*content);
                    Some(*key)
                }));
                reader.lookup(keys, out);
                std::hint::black_box(&*out);
            },
        );
        vec![("onefill", by_key), ("onefill, chaining too", by_content)]
    }

    fn scores(&mut self, query: &[Node]) -> [u32; REPLICAS] {
        self.keys.clear();
        self.keys.extend(query.iter().map(|node| node.key));
        self.reader.lookup(&self.keys, &mut self.out);
        std::array::from_fn(|replica| self.out.get(ReplicaId(replica as u16)).blocks())
    }
}
