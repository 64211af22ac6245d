//! Consistent hashing with bounded loads on the prompt's head (`KubeAI`'s `PrefixHash`, Mirrokni et
//! al. 2016): the first replica clockwise from the head's hash that has at most
//! `ceil(1.25 x mean load)` requests, this one counted.

use super::{Question, Route, Seat};
use hashbrown::HashMap;
use onefill_kv::mix;
use std::time::Duration;

/// `meanLoadFactor` 125: the least that is recommended.
const LOAD_FACTOR: f64 = 1.25;
/// `replication`: places of each replica on the ring.
const REPLICATION: u64 = 256;
/// Blocks that count as the head. One is often a template that all share, which would send all to
/// one place; the second tells conversations apart.
const HEAD_BLOCKS: usize = 2;

pub(super) struct PrefixHash {
    /// Places on the ring, in order.
    ring: Vec<(u64, usize)>,
    loads: Vec<u32>,
    at: HashMap<u32, usize>,
}

impl PrefixHash {
    pub(super) fn new(replicas: usize) -> Self {
        let places = |replica: usize| {
            let place = move |turn| (mix(mix(replica as u64 + 1) ^ turn), replica);
            (0..REPLICATION).map(place)
        };
        let mut ring: Vec<(u64, usize)> = (0..replicas).flat_map(places).collect();
        ring.sort_unstable();
        Self {
            ring,
            loads: vec![0; replicas],
            at: HashMap::new(),
        }
    }

    fn find(&self, hash: u64) -> usize {
        let mean = f64::from(self.loads.iter().sum::<u32>() + 1) / self.loads.len() as f64;
        let most = (mean * LOAD_FACTOR).ceil();
        let start = self.ring.partition_point(|(place, _)| *place < hash);
        let clockwise = self.ring[start..].iter().chain(&self.ring[..start]);
        let has_room = |replica: &usize| f64::from(self.loads[*replica] + 1) <= most;
        let mut replicas = clockwise.map(|(_, replica)| *replica);
        replicas.find(has_room).unwrap_or(0)
    }
}

impl Route for PrefixHash {
    fn route(&mut self, _: Duration, question: &Question<'_>, _: &[Seat]) -> usize {
        let head = question.chain.get(..HEAD_BLOCKS).unwrap_or(&question.chain);
        let replica = self.find(mix(head.last().map_or(0, |key| key.0)));
        self.loads[replica] += 1;
        self.at.insert(question.number, replica);
        replica
    }

    fn first_byte(&mut self, _: Duration, _: u32) {}

    fn finished(&mut self, _: Duration, number: u32) {
        if let Some(replica) = self.at.remove(&number) {
            self.loads[replica] -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
