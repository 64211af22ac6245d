//! kv-index's `ChainIndex`, driven as its gateway does: a map a worker, events applied in place.

use std::ops::Range;

use kv_index::{ChainBlockMap, ChainIndex, ContentHash, SequenceHash, StoredBlock};

use super::{Event, REMOVED_AT_ONCE, Subject};
use crate::meter::{cpu_ns, times_of};
use crate::work::{Node, REPLICAS};

pub struct Chain {
    index: ChainIndex,
    maps: Vec<ChainBlockMap>,
    ids: Vec<u32>,
}

impl Chain {
    pub fn new() -> Self {
        let index = ChainIndex::with_max_workers(REPLICAS);
        let ids = (0..REPLICAS).map(|at| index.intern_worker(&format!("w{at}")).unwrap_or(0));
        let ids = ids.collect();
        Self {
            index,
            maps: (0..REPLICAS).map(|_| ChainBlockMap::new()).collect(),
            ids,
        }
    }

    fn apply_one(&mut self, own: &OwnEvents, event: &Own) {
        match event {
            Own::Store(replica, parent, blocks) => {
                let (map, blocks) = (&mut self.maps[*replica], &own.blocks[blocks.clone()]);
                let _ = self
                    .index
                    .apply_stored(self.ids[*replica], blocks, *parent, map);
            }
            Own::Remove(replica, hashes) => {
                let (map, hashes) = (&mut self.maps[*replica], &own.hashes[hashes.clone()]);
                self.index.apply_removed(self.ids[*replica], hashes, map);
            }
        }
    }
}

/// Events in kv-index's types, slices of two buffers.
#[derive(Default)]
struct OwnEvents {
    events: Vec<Own>,
    blocks: Vec<StoredBlock>,
    hashes: Vec<SequenceHash>,
}

enum Own {
    Store(usize, Option<SequenceHash>, Range<usize>),
    Remove(usize, Range<usize>),
}

impl OwnEvents {
    fn new(events: &[Event]) -> Self {
        let mut own = Self::default();
        for event in events {
            match event {
                Event::Store {
                    replica,
                    parent,
                    blocks,
                } => {
                    let first = own.blocks.len();
                    own.blocks.extend(blocks.iter().map(|node| StoredBlock {
                        seq_hash: SequenceHash(node.hash.0),
                        content_hash: ContentHash(node.content.0),
                    }));
                    let parent = parent.map(|hash| SequenceHash(hash.0));
                    let blocks = first..own.blocks.len();
                    own.events
                        .push(Own::Store((*replica).into(), parent, blocks));
                }
                Event::Remove { replica, blocks } => own.remove((*replica).into(), blocks),
            }
        }
        own
    }

    fn remove(&mut self, replica: usize, blocks: &[Node]) {
        let first = self.hashes.len();
        self.hashes
            .extend(blocks.iter().map(|node| SequenceHash(node.hash.0)));
        match self.events.last_mut() {
            Some(Own::Remove(of, before))
                if *of == replica && before.len() + blocks.len() <= REMOVED_AT_ONCE =>
            {
                before.end = self.hashes.len();
            }
            _ => self
                .events
                .push(Own::Remove(replica, first..self.hashes.len())),
        }
    }
}

impl Subject for Chain {
    fn name(&self) -> &'static str {
        "kv-index ChainIndex"
    }

    fn apply(&mut self, events: &[Event]) -> f64 {
        let own = OwnEvents::new(events);
        cpu_ns(|| {
            for event in &own.events {
                self.apply_one(&own, event);
            }
        })
    }

    fn time(&mut self, queries: &[Vec<Node>]) -> Vec<(&'static str, Vec<u64>)> {
        let content = |node: &Node| ContentHash(node.content.0);
        let mut dense = [0_u32; REPLICAS];
        let into = times_of(queries, content, |keys: &[ContentHash]| {
            dense.fill(0);
            let report = |worker: u32, score| dense[worker as usize % REPLICAS] = score;
            self.index.score_into(keys, |key| key.0, false, report);
            std::hint::black_box(&dense);
        });
        let map = times_of(queries, content, |keys: &[ContentHash]| {
            std::hint::black_box(self.index.find_matches(keys, false));
        });
        vec![
            ("kv-index score_into", into),
            ("kv-index find_matches", map),
        ]
    }

    fn scores(&mut self, query: &[Node]) -> [u32; REPLICAS] {
        let keys: Vec<_> = query
            .iter()
            .map(|node| ContentHash(node.content.0))
            .collect();
        let found = self.index.find_matches(&keys, false);
        std::array::from_fn(|at| found.scores.get(&self.ids[at]).copied().unwrap_or(0))
    }
}
