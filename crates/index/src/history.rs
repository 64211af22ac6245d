//! What the router itself sent to one replica, for replicas without (complete) events.
//!
//! An LRU of block keys with the replica's capacity. A touch moves a chain to the young end with
//! its tail first, so that tails leave before heads, as in vLLM's own cache; hence the keys kept
//! of one chain are always a prefix, and overlap is a binary search.
//!
//! A chain's first [`FINE`] blocks are kept one by one; what follows in groups that grow with the
//! distance, a thirty-second of it at most, each by the key of its last block. So a prompt of 100,000
//! tokens costs some 250 entries instead of 6,250, and a guess that is one anyway is at most 3 % lower.

use hashbrown::HashMap;
use onefill_kv::{BlockKey, BuildAsIs};
use std::time::Duration;

const NONE: u32 = u32::MAX;

/// Blocks of a chain that are kept one by one.
const FINE: usize = 64;
/// Groups between one power of two and the next.
const GROUPS: usize = FINE / 2;

/// Groups that end within the first `blocks` blocks of a chain.
const fn groups(blocks: usize) -> usize {
    if blocks < FINE {
        return blocks;
    }
    let doubled = (blocks / FINE).ilog2() as usize;
    FINE + GROUPS * doubled + ((blocks - (FINE << doubled)) >> (doubled + 1))
}

/// Where the group numbered `group` ends, and how many blocks it has.
const fn group(group: usize) -> (usize, u32) {
    if group < FINE {
        return (group + 1, 1);
    }
    let (doubled, of) = ((group - FINE) / GROUPS, (group - FINE) % GROUPS);
    let blocks = 2 << doubled;
    ((FINE << doubled) + (of + 1) * blocks, blocks as u32)
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// Of the group's last block.
    key: BlockKey,
    /// Blocks of the group.
    blocks: u32,
    /// Towards the young end.
    younger: u32,
    /// Towards the old end.
    older: u32,
    /// Clock of the last touch, in milliseconds; wraps after 49 days.
    touched_ms: u32,
}

/// An LRU of keys with the replica's capacity.
#[derive(Debug)]
pub struct History {
    capacity: usize,
    /// Blocks remembered.
    blocks: usize,
    places: HashMap<BlockKey, u32, BuildAsIs>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    youngest: u32,
    oldest: u32,
}

impl History {
    /// A history of at most `capacity_blocks`.
    pub fn new(capacity_blocks: usize) -> Self {
        Self {
            capacity: capacity_blocks.max(1),
            blocks: 0,
            places: HashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            youngest: NONE,
            oldest: NONE,
        }
    }

    /// Changes the capacity; the oldest leave where it shrinks.
    pub fn set_capacity(&mut self, capacity_blocks: usize) {
        self.capacity = capacity_blocks.max(1);
        self.shrink();
    }

    /// Blocks remembered.
    pub fn len(&self) -> usize {
        self.blocks
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.blocks == 0
    }

    /// Leading blocks of `chain` that were sent here and should still be there.
    pub fn overlap(&self, chain: &[BlockKey]) -> u32 {
        let holds = |number: usize| {
            let key = chain.get(group(number).0 - 1);
            key.is_some_and(|key| self.places.contains_key(key))
        };
        let (mut low, mut high) = (0, groups(chain.len()));
        while low < high {
            let middle = low + (high - low) / 2;
            if holds(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let held = low.checked_sub(1).map_or(0, |last| group(last).0);
        u32::try_from(held).unwrap_or(u32::MAX)
    }

    /// For how long the block that must leave next has not been asked for; `None` while there is
    /// room for `more`. `now`: the clock of [`History::touch`].
    pub fn idle(&self, more: usize, now: Duration) -> Option<Duration> {
        if self.blocks + more <= self.capacity {
            return None;
        }
        let oldest = self.slots.get(self.oldest as usize)?;
        let idle_ms = clock_ms(now).wrapping_sub(oldest.touched_ms);
        Some(Duration::from_millis(u64::from(idle_ms)))
    }

    /// The replica has computed `chain`.
    pub fn touch(&mut self, chain: &[BlockKey], now: Duration) {
        // Blocks beyond the capacity could not have stayed: the head did.
        for number in (0..groups(self.capacity.min(chain.len()))).rev() {
            let (end, blocks) = group(number);
            let Some(key) = chain.get(end - 1) else {
                continue;
            };
            let place = match self.places.get(key).copied() {
                Some(place) => {
                    self.unlink(place);
                    place
                }
                None => self.insert(*key, blocks),
            };
            self.link_youngest(place, clock_ms(now));
        }
        self.shrink();
    }

    /// The replica has lost everything.
    pub fn clear(&mut self) {
        self.places.clear();
        self.slots.clear();
        self.free.clear();
        self.blocks = 0;
        (self.youngest, self.oldest) = (NONE, NONE);
    }

    fn shrink(&mut self) {
        while self.blocks > self.capacity {
            let place = self.oldest;
            let Some(slot) = self.slots.get(place as usize).copied() else {
                return;
            };
            self.unlink(place);
            self.blocks -= slot.blocks as usize;
            self.places.remove(&slot.key);
            self.free.push(place);
        }
    }

    fn insert(&mut self, key: BlockKey, blocks: u32) -> u32 {
        let slot = Slot {
            key,
            blocks,
            younger: NONE,
            older: NONE,
            touched_ms: 0,
        };
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).unwrap_or(NONE)
            }
        };
        if let Some(free) = self.slots.get_mut(place as usize) {
            *free = slot;
        }
        self.blocks += blocks as usize;
        self.places.insert(key, place);
        place
    }

    fn unlink(&mut self, place: u32) {
        let Some(Slot { younger, older, .. }) = self.slots.get(place as usize).copied() else {
            return;
        };
        match self.slots.get_mut(younger as usize) {
            Some(slot) => slot.older = older,
            None => self.youngest = older,
        }
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.younger = younger,
            None => self.oldest = younger,
        }
    }

    fn link_youngest(&mut self, place: u32, touched_ms: u32) {
        let before = self.youngest;
        if let Some(slot) = self.slots.get_mut(place as usize) {
            (slot.younger, slot.older) = (NONE, before);
            slot.touched_ms = touched_ms;
        }
        match self.slots.get_mut(before as usize) {
            Some(slot) => slot.younger = place,
            None => self.oldest = place,
        }
        self.youngest = place;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the clock wraps")]
const fn clock_ms(now: Duration) -> u32 {
    now.as_millis() as u32
}

#[cfg(test)]
mod tests;
