//! What has gone lately, why, and how long it was: the native client of `LMCache` must be answered
//! in the length of the block that it asks for, also when that is gone.

use hashbrown::HashMap;
use std::collections::VecDeque;

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
    by_hash: HashMap<u64, Grave>,
    queue: VecDeque<(u64, u64)>,
    serial: u64,
}

#[derive(Clone, Copy, Debug)]
struct Grave {
    size: u64,
    why: Gone,
    serial: u64,
}

impl Graves {
    pub(super) fn bury(&mut self, hash: u64, size: u64, why: Gone) {
        self.serial += 1;
        let serial = self.serial;
        self.by_hash.insert(hash, Grave { size, why, serial });
        self.queue.push_back((hash, serial));
        if self.queue.len() > GRAVES_MAX
            && let Some((oldest, serial)) = self.queue.pop_front()
            && self
                .by_hash
                .get(&oldest)
                .is_some_and(|grave| grave.serial == serial)
        {
            self.by_hash.remove(&oldest);
        }
    }

    /// The block came back.
    pub(super) fn rise(&mut self, hash: u64) {
        self.by_hash.remove(&hash);
    }

    /// Why it is not there, and its size where that is known.
    pub(super) fn find(&self, hash: u64) -> (Gone, Option<u64>) {
        match self.by_hash.get(&hash) {
            Some(grave) => (grave.why, Some(grave.size)),
            None => (Gone::Absent, None),
        }
    }
}
