//! What has gone lately, why, and how long it was: the native client of `LMCache` must be answered
//! in the length of the block that it asks for, also when that is gone.

use hashbrown::HashTable;

/// Blocks that are remembered after they have gone. Beyond it the oldest is forgotten.
const GRAVES_MAX: usize = 1 << 16;

/// Why a block is not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gone {
    /// It never was, or that is forgotten.
    Absent,
    /// There was no room.
    Evicted,
    /// Its time was over.
    Expired,
    /// A client took it out.
    Deleted,
    /// Its bytes were not those that came in.
    Corrupt,
}

impl Gone {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Absent,
        Self::Evicted,
        Self::Expired,
        Self::Deleted,
        Self::Corrupt,
    ];

    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Evicted => "evicted",
            Self::Expired => "expired",
            Self::Deleted => "deleted",
            Self::Corrupt => "corrupt",
        }
    }
}

#[derive(Default, Debug)]
pub(super) struct Graves {
    /// The oldest is written over by the next one.
    ring: Vec<Grave>,
    next: usize,
    by_hash: HashTable<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Grave {
    hash: u64,
    /// The block's size, and in the lowest bits why it has gone.
    size_and_why: u64,
}

/// Bits of a reason's number.
const WHY_BITS: u32 = 3;

impl Graves {
    pub(super) fn bury(&mut self, hash: u64, size: u64, why: Gone) {
        self.rise(hash);
        let grave = Grave {
            hash,
            size_and_why: size << WHY_BITS | why as u64,
        };
        let at = self.next;
        self.next = (at + 1) % GRAVES_MAX;
        match self.ring.get_mut(at) {
            Some(oldest) => {
                let before = std::mem::replace(oldest, grave);
                let same = |other: &u32| *other as usize == at;
                if let Ok(entry) = self.by_hash.find_entry(before.hash, same) {
                    entry.remove();
                }
            }
            None => self.ring.push(grave),
        }
        let ring = &self.ring;
        let rehash = |at: &u32| ring[*at as usize].hash;
        self.by_hash.insert_unique(hash, at as u32, rehash);
    }

    /// The block came back.
    pub(super) fn rise(&mut self, hash: u64) {
        let ring = &self.ring;
        let same = |at: &u32| ring[*at as usize].hash == hash;
        if let Ok(entry) = self.by_hash.find_entry(hash, same) {
            entry.remove();
        }
    }

    /// Why it is not there, and its size where that is known.
    pub(super) fn find(&self, hash: u64) -> (Gone, Option<u64>) {
        let same = |at: &u32| self.ring[*at as usize].hash == hash;
        let found = self.by_hash.find(hash, same);
        found.map_or((Gone::Absent, None), |at| {
            let both = self.ring[*at as usize].size_and_why;
            let why = Gone::ALL[(both & ((1 << WHY_BITS) - 1)) as usize];
            (why, Some(both >> WHY_BITS))
        })
    }
}
