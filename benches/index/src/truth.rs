//! The answer by brute force: a set of replicas for each key.

use std::collections::HashMap;

use crate::subjects::{Event, Subject};
use crate::work::{Node, REPLICAS};

/// Who holds what.
#[derive(Default)]
pub struct Truth(HashMap<u64, u64>);

impl Truth {
    /// Takes events for what they say, without copies.
    pub fn apply(&mut self, events: &[Event]) {
        for event in events {
            let (replica, blocks, on) = match event {
                Event::Store {
                    replica, blocks, ..
                } => (replica, blocks, true),
                Event::Remove { replica, blocks } => (replica, blocks, false),
            };
            for node in blocks {
                let holders = self.0.entry(node.key.0).or_insert(0);
                *holders = if on {
                    *holders | 1 << replica
                } else {
                    *holders & !(1 << replica)
                };
            }
        }
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

    /// Queries with a wrong score of any replica.
    pub fn wrong(&self, subject: &mut dyn Subject, queries: &[Vec<Node>]) -> usize {
        let is_wrong = |query: &&Vec<Node>| subject.scores(query) != self.scores(query);
        queries.iter().filter(is_wrong).count()
    }
}
