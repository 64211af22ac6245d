//! A replica's cache of blocks, as vLLM keeps its own: running requests pin their chains; what is
//! let go stays until room is needed; then what was used longest ago leaves, tails before heads.

mod lists;

use hashbrown::HashMap;
use lists::{Lists, NONE};
use std::hash::{BuildHasherDefault, Hasher};

/// Block numbers are dense: a multiply spreads them.
#[derive(Default, Debug, Clone, Copy)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u32(&mut self, number: u32) {
        let product = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ (product >> 32); // the table's place comes from the low bits
    }
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    block: u32,
    pins: u32,
}

/// There is no room: running requests hold everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

/// Blocks in a bounded space.
#[derive(Debug)]
pub struct Cache {
    capacity: usize,
    /// Places taken by tokens that have no name yet.
    reserved: usize,
    pinned: usize,
    places: HashMap<u32, u32, BuildHasherDefault<NumberHasher>>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    order: Lists,
}

impl Cache {
    /// A cache of so many blocks.
    #[must_use]
    pub fn new(capacity_blocks: usize) -> Self {
        Self {
            capacity: capacity_blocks,
            reserved: 0,
            pinned: 0,
            places: HashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            order: Lists::new(1),
        }
    }

    /// Blocks that fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Blocks in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Share of it that running requests use.
    #[must_use]
    pub fn usage(&self) -> f64 {
        (self.pinned + self.reserved) as f64 / self.capacity.max(1) as f64
    }

    /// Whether a block is in it.
    #[must_use]
    pub fn contains(&self, block: u32) -> bool {
        self.places.contains_key(&block)
    }

    /// Leading blocks of `chain` that are in it.
    #[must_use]
    pub fn hits(&self, chain: &[u32]) -> usize {
        chain
            .iter()
            .take_while(|block| self.contains(**block))
            .count()
    }

    /// Whether `chain` and `more` unnamed blocks could be pinned now.
    #[must_use]
    pub fn fits(&self, chain: &[u32], more: usize) -> bool {
        let is_pinned = |block: &&u32| {
            let place = self.places.get(*block);
            place.is_some_and(|place| self.slots[*place as usize].pins > 0)
        };
        let pinned_already = chain.iter().take_while(is_pinned).count();
        let new = chain.len() - pinned_already + more;
        self.pinned + self.reserved + new <= self.capacity
    }

    /// Pins `chain`, which must fit, and takes room for `more` unnamed blocks. Blocks that leave
    /// for it are added to `evicted`.
    pub fn pin(&mut self, chain: &[u32], more: usize, evicted: &mut Vec<u32>) {
        for block in chain {
            self.pin_one(*block, evicted);
        }
        self.reserved += more;
        self.make_room(evicted);
    }

    fn pin_one(&mut self, block: u32, evicted: &mut Vec<u32>) {
        if let Some(place) = self.places.get(&block).copied() {
            let slot = &mut self.slots[place as usize];
            if slot.pins == 0 {
                self.order.unlink(place);
                self.pinned += 1;
            }
            slot.pins += 1;
            return;
        }
        let slot = Slot { block, pins: 1 };
        let place = match self.free.pop() {
            Some(place) => {
                self.slots[place as usize] = slot;
                place
            }
            None => {
                self.slots.push(slot);
                self.order.grow();
                self.slots.len() as u32 - 1
            }
        };
        self.places.insert(block, place);
        self.pinned += 1;
        self.make_room(evicted);
    }

    fn make_room(&mut self, evicted: &mut Vec<u32>) {
        while self.places.len() + self.reserved > self.capacity {
            let place = self.order.oldest(0);
            if place == NONE {
                break; // pinned beyond the capacity: the caller did not ask whether it fits
            }
            self.order.unlink(place);
            let block = self.slots[place as usize].block;
            self.places.remove(&block);
            self.free.push(place);
            evicted.push(block);
        }
    }

    /// Lets `chain` go, tail first so that tails leave first, and `more` unnamed blocks.
    pub fn unpin(&mut self, chain: &[u32], more: usize) {
        for block in chain.iter().rev() {
            let Some(place) = self.places.get(block).copied() else {
                continue;
            };
            let slot = &mut self.slots[place as usize];
            slot.pins = slot.pins.saturating_sub(1);
            if slot.pins == 0 {
                self.pinned -= 1;
                self.order.link_youngest(place, 0);
            }
        }
        self.reserved = self.reserved.saturating_sub(more);
    }

    /// `chain` is used now, for a moment: what fits of it is kept. Returns how many blocks.
    pub fn touch(&mut self, chain: &[u32], evicted: &mut Vec<u32>) -> usize {
        let room = self.capacity.saturating_sub(self.pinned + self.reserved);
        let kept = &chain[..room.min(chain.len())];
        self.pin(kept, 0, evicted);
        self.unpin(kept, 0);
        kept.len()
    }
}

#[cfg(test)]
mod tests;
