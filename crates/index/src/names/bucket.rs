//! A bucket of names: one cache line of seven slots of nine bytes.

use super::{Name, Place};

/// Names of a bucket.
pub(super) const SLOTS: usize = 7;
const CROWDED: u8 = 1 << SLOTS;

/// Seven slots. All zero: an empty one.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Bucket {
    home: [u32; SLOTS],
    /// `run:24 | at:8`, the low bits of `at`.
    place: [u32; SLOTS],
    /// `at:4 | tag:4`, the high bits of `at`.
    rest: [u8; SLOTS],
    /// Slots in use, and whether a slot that belongs here stands further on.
    used: u8,
}

pub(super) const EMPTY: Bucket = Bucket {
    home: [0; SLOTS],
    place: [0; SLOTS],
    rest: [0; SLOTS],
    used: 0,
};

/// Numbers of slots, from a bit each.
pub(super) struct Slots(u8);

impl Iterator for Slots {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let slot = self.0.trailing_zeros() as usize;
        self.0 &= self.0.wrapping_sub(1);
        (slot < SLOTS).then_some(slot)
    }
}

impl Bucket {
    /// Slots that may hold `name`.
    #[inline]
    pub(super) fn slots_of(&self, name: Name) -> Slots {
        let mut found = 0;
        for slot in 0..SLOTS {
            found |= u8::from(self.home[slot] == name.home) << slot;
        }
        found &= self.used;
        if found != 0 {
            for slot in 0..SLOTS {
                found &= !(u8::from(self.rest[slot] & 0xf != name.tag) << slot);
            }
        }
        Slots(found & !CROWDED)
    }

    /// Slots in use.
    pub(super) fn slots(&self) -> Slots {
        Slots(self.used & !CROWDED)
    }

    /// A slot that is not in use.
    #[inline]
    pub(super) fn free_slot(&self) -> Option<usize> {
        Slots(!self.used & !CROWDED).next()
    }

    #[inline]
    pub(super) fn is_crowded(&self) -> bool {
        self.used & CROWDED != 0
    }

    #[inline]
    pub(super) fn crowd(&mut self) {
        self.used |= CROWDED;
    }

    #[inline]
    pub(super) fn place(&self, slot: usize) -> Place {
        let low = self.place[slot];
        Place {
            run: low >> 8,
            at: (low & 0xff) as u16 | u16::from(self.rest[slot] >> 4) << 8,
        }
    }

    pub(super) fn name(&self, shard: u32, slot: usize) -> Name {
        Name {
            shard,
            home: self.home[slot],
            tag: self.rest[slot] & 0xf,
        }
    }

    #[inline]
    pub(super) fn fill(&mut self, slot: usize, name: Name, place: Place) {
        self.home[slot] = name.home;
        self.place[slot] = place.run << 8 | u32::from(place.at & 0xff);
        self.rest[slot] = ((place.at >> 8) as u8) << 4 | name.tag;
        self.used |= 1 << slot;
    }

    #[inline]
    pub(super) fn clear(&mut self, slot: usize) {
        self.used &= !(1 << slot);
    }
}
