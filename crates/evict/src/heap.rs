//! Blocks in the order of their last use. A block takes eight bytes for when that was and where it
//! stands, and four in a heap; that is less than half of what a tree takes.

use super::BlockId;
use crate::paged::Paged;
use std::{cmp::Reverse, collections::BinaryHeap};

/// Places below each place of a heap.
const WIDTH: usize = 4;
/// The place of a block that is in no heap.
const NOWHERE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Use {
    /// When the block was used last, in uses.
    last: u32,
    /// Where it stands in its heap.
    place: u32,
}

impl Default for Use {
    fn default() -> Self {
        Self {
            last: 0,
            place: NOWHERE,
        }
    }
}

/// When each block was used last. Whoever sets that of a block in a heap tells the heap.
#[derive(Default, Debug)]
pub(super) struct Uses {
    slots: Paged<Use>,
}

impl Uses {
    /// A block was used.
    pub(super) fn set(&mut self, id: BlockId, now: u32) {
        self.slots.reach(id as usize);
        self.slots[id as usize].last = now;
    }

    /// When a block was used last; 0 where it never was.
    pub(super) fn last(&self, id: BlockId) -> u32 {
        self.slots.get(id as usize).map_or(0, |each| each.last)
    }

    /// All uses were so much longer ago. Those before that are all alike.
    pub(super) fn rewind(&mut self, cut: u32) {
        for index in 0..self.slots.len() {
            let each = &mut self.slots[index];
            each.last = each.last.saturating_sub(cut);
        }
    }

    fn place(&self, id: BlockId) -> Option<usize> {
        let place = self.slots.get(id as usize)?.place;
        (place != NOWHERE).then_some(place as usize)
    }
}

/// Blocks, the one first that was used longest ago. A block is in one heap at most.
#[derive(Default, Debug)]
pub(super) struct Heap {
    ids: Paged<BlockId>,
}

impl Heap {
    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The one that was used longest ago.
    pub(super) fn first(&self) -> Option<BlockId> {
        self.ids.get(0).copied()
    }

    /// Takes a block in that has a use.
    pub(super) fn insert(&mut self, id: BlockId, uses: &mut Uses) {
        if uses.place(id).is_none() {
            let place = self.ids.add();
            self.rise(place, id, uses);
        }
    }

    /// Takes a block out; whether it was in. It must be in no other heap.
    pub(super) fn remove(&mut self, id: BlockId, uses: &mut Uses) -> bool {
        let Some(place) = uses.place(id) else {
            return false;
        };
        uses.slots[id as usize].place = NOWHERE;
        if let Some(end) = self.ids.pop()
            && end != id
        {
            self.rise(place, end, uses);
            self.used(end, uses);
        }
        true
    }

    /// A block was used again; whether it is in. It must be in no other heap.
    pub(super) fn used(&mut self, id: BlockId, uses: &mut Uses) -> bool {
        let Some(mut place) = uses.place(id) else {
            return false;
        };
        let last = uses.last(id);
        while let Some((used, below)) = self.least_below(place, uses)
            && used < last
        {
            self.put(place, self.ids[below], uses);
            place = below;
        }
        self.put(place, id, uses);
        true
    }

    /// All of them, in order.
    pub(super) fn iter<'h>(&'h self, uses: &'h Uses) -> impl Iterator<Item = BlockId> + 'h {
        // Those that may come next: below what was given, nothing is older.
        let mut next = BinaryHeap::new();
        next.extend(self.first().map(|id| (Reverse(uses.last(id)), 0)));
        std::iter::from_fn(move || {
            let (_, place) = next.pop()?;
            let below = self.below(place);
            next.extend(below.map(|place| (Reverse(uses.last(self.ids[place])), place)));
            Some(self.ids[place])
        })
    }

    fn below(&self, place: usize) -> std::ops::Range<usize> {
        let first = place * WIDTH + 1;
        first..(first + WIDTH).min(self.ids.len()).max(first)
    }

    fn least_below(&self, place: usize, uses: &Uses) -> Option<(u32, usize)> {
        let below = self.below(place);
        below.map(|place| (uses.last(self.ids[place]), place)).min()
    }

    fn rise(&mut self, mut place: usize, id: BlockId, uses: &mut Uses) {
        let last = uses.last(id);
        while place > 0 {
            let above = (place - 1) / WIDTH;
            if uses.last(self.ids[above]) <= last {
                break;
            }
            self.put(place, self.ids[above], uses);
            place = above;
        }
        self.put(place, id, uses);
    }

    fn put(&mut self, place: usize, id: BlockId, uses: &mut Uses) {
        self.ids[place] = id;
        uses.slots[id as usize].place = place as u32;
    }
}
