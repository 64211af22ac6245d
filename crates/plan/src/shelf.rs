//! A store's blocks, or one cache for a whole fleet: what goes is said by the very policies that
//! the store runs.

use crate::cache::NumberHasher;
use hashbrown::HashMap;
use onefill_evict::{BlockId, Choice, Facts, Policy};
use onefill_kv::mix;
use std::hash::BuildHasherDefault;

#[derive(Clone, Copy, Debug)]
struct Place {
    block: u32,
    /// The call that used it last: what a prompt needs now does not go for the rest of it.
    call: u32,
}

/// Blocks in a bounded space.
#[derive(Debug)]
pub struct Shelf {
    capacity: usize,
    policy: Box<dyn Policy>,
    ids: HashMap<u32, BlockId, BuildHasherDefault<NumberHasher>>,
    places: Vec<Place>,
    free: Vec<BlockId>,
    call: u32,
}

impl Shelf {
    /// Of so many blocks.
    #[must_use]
    pub fn new(capacity_blocks: usize, choice: Choice) -> Self {
        Self {
            capacity: capacity_blocks,
            policy: choice.build(),
            ids: HashMap::default(),
            places: Vec::new(),
            free: Vec::new(),
            call: 0,
        }
    }

    /// Blocks in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Leading blocks of `chain` that are in it.
    #[must_use]
    pub fn hits(&self, chain: &[u32]) -> usize {
        let there = chain
            .iter()
            .take_while(|block| self.ids.contains_key(*block));
        there.count()
    }

    /// `chain` is used now: what is there is read, the rest put, as far as all of it fits. Returns
    /// how many blocks; those that left for it are added to `evicted`.
    pub fn touch(&mut self, chain: &[u32], evicted: &mut Vec<u32>) -> usize {
        self.call += 1;
        let mut parent = None;
        for (kept, block) in chain.iter().enumerate() {
            let id = match self.ids.get(block).copied() {
                Some(id) => {
                    self.policy.touched(id);
                    id
                }
                None => {
                    if !self.make_room(evicted) {
                        return kept;
                    }
                    self.insert(*block, parent)
                }
            };
            self.places[id as usize].call = self.call;
            parent = Some(id);
        }
        chain.len()
    }

    fn make_room(&mut self, evicted: &mut Vec<u32>) -> bool {
        while self.ids.len() >= self.capacity {
            let (places, call) = (&self.places, self.call);
            let may_go = &mut |id: BlockId| places[id as usize].call != call;
            let Some(id) = self.policy.victim(may_go) else {
                return false;
            };
            let block = self.places[id as usize].block;
            self.ids.remove(&block);
            self.policy.removed(id, Some(mix(u64::from(block))));
            self.free.push(id);
            evicted.push(block);
        }
        true
    }

    fn insert(&mut self, block: u32, parent: Option<BlockId>) -> BlockId {
        let place = Place {
            block,
            call: self.call,
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.places[id as usize] = place;
                id
            }
            None => {
                self.places.push(place);
                self.places.len() as BlockId - 1
            }
        };
        self.ids.insert(block, id);
        let fingerprint = mix(u64::from(block));
        self.policy.inserted(
            id,
            Facts {
                fingerprint,
                parent,
            },
        );
        id
    }
}

#[cfg(test)]
mod tests;
