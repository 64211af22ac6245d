//! The answer by brute force: a set of replicas for each key.

use std::collections::HashMap;

use crate::work::{Node, REPLICAS, Work};

/// Who holds what.
#[derive(Default)]
pub struct Truth(HashMap<u64, u64>);

impl Truth {
    pub fn after_stores(work: &Work) -> Self {
        let mut truth = Self::default();
        for store in &work.stores {
            for node in &work.stored[store.blocks.clone()] {
                truth.put(store.replica, node, true);
            }
        }
        truth
    }

    pub fn remove(&mut self, work: &Work) {
        for remove in &work.removes {
            for node in &work.removed[remove.blocks.clone()] {
                self.put(remove.replica, node, false);
            }
        }
    }

    pub fn put(&mut self, replica: u16, node: &Node, on: bool) {
        let holders = self.0.entry(node.key.0).or_insert(0);
        *holders = if on { *holders | 1 << replica } else { *holders & !(1 << replica) };
    }

    /// Leading blocks that each replica holds.
    pub fn scores(&self, query: &[Node]) -> [u32; REPLICAS] {
        let mut scores = [0; REPLICAS];
        let mut alive = u64::MAX;
        for node in query {
            alive &= self.0.get(&node.key.0).copied().unwrap_or(0);
            if alive == 0 {
                break;
            }
            let mut bits = alive;
            while bits != 0 {
                scores[bits.trailing_zeros() as usize] += 1;
                bits &= bits - 1;
            }
        }
        scores
    }
}
