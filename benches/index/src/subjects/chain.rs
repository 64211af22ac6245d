//! kv-index's `ChainIndex`, driven as its gateway does: a map a worker, events applied in place.

use kv_index::{ChainBlockMap, ChainIndex, ContentHash, SequenceHash, StoredBlock};

use super::{Event, Subject};
use crate::meter::{Latency, cpu_ns, latency_of};
use crate::work::{Node, REPLICAS};

/// Hashes of one worker's neighbouring removals that are told in one call: it groups what it is
/// told by run, so larger calls suit it.
const REMOVED_AT_ONCE: usize = 64;

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
        Self { index, maps: (0..REPLICAS).map(|_| ChainBlockMap::new()).collect(), ids }
    }

    fn apply_one(&mut self, event: Own) {
        match event {
            Own::Store(replica, parent, blocks) => {
                let map = &mut self.maps[replica];
                let _ = self.index.apply_stored(self.ids[replica], &blocks, parent, map);
            }
            Own::Remove(replica, hashes) => {
                let map = &mut self.maps[replica];
                self.index.apply_removed(self.ids[replica], &hashes, map);
            }
        }
    }
}

enum Own {
    Store(usize, Option<SequenceHash>, Vec<StoredBlock>),
    Remove(usize, Vec<SequenceHash>),
}

fn own(events: &[Event]) -> Vec<Own> {
    let mut own: Vec<Own> = Vec::with_capacity(events.len());
    for event in events {
        match event {
            Event::Store { replica, parent, blocks } => {
                let block = |node: &Node| StoredBlock {
                    seq_hash: SequenceHash(node.hash.0),
                    content_hash: ContentHash(node.content.0),
                };
                let parent = parent.map(|hash| SequenceHash(hash.0));
                let blocks = blocks.iter().map(block).collect();
                own.push(Own::Store((*replica).into(), parent, blocks));
            }
            Event::Remove { replica, blocks } => {
                let hashes = blocks.iter().map(|node| SequenceHash(node.hash.0));
                match own.last_mut() {
                    Some(Own::Remove(of, before))
                        if *of == usize::from(*replica)
                            && before.len() + blocks.len() <= REMOVED_AT_ONCE =>
                    {
                        before.extend(hashes);
                    }
                    _ => own.push(Own::Remove((*replica).into(), hashes.collect())),
                }
            }
        }
    }
    own
}

impl Subject for Chain {
    fn name(&self) -> &'static str {
        "kv-index ChainIndex"
    }

    fn apply(&mut self, events: &[Event]) -> f64 {
        let own = own(events);
        cpu_ns(|| {
            for event in own {
                self.apply_one(event);
            }
        })
    }

    fn time(&mut self, queries: &[Vec<Node>]) -> Vec<(&'static str, Latency)> {
        let content = |node: &Node| ContentHash(node.content.0);
        let mut dense = [0_u32; REPLICAS];
        let into = latency_of(queries, content, |keys: &[ContentHash]| {
            dense.fill(0);
            let report = |worker: u32, score| dense[worker as usize % REPLICAS] = score;
            self.index.score_into(keys, |key| key.0, false, report);
            std::hint::black_box(&dense);
        });
        let map = latency_of(queries, content, |keys: &[ContentHash]| {
            std::hint::black_box(self.index.find_matches(keys, false));
        });
        vec![("kv-index score_into", into), ("kv-index find_matches", map)]
    }

    fn scores(&mut self, query: &[Node]) -> [u32; REPLICAS] {
        let keys: Vec<_> = query.iter().map(|node| ContentHash(node.content.0)).collect();
        let found = self.index.find_matches(&keys, false);
        std::array::from_fn(|at| found.scores.get(&self.ids[at]).copied().unwrap_or(0))
    }
}
