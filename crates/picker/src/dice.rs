//! Chance, for ids and for choices that don't matter.

use onefill_kv::mix;
use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Numbers that nobody can foretell without the seed; not for secrets.
#[derive(Debug)]
pub(crate) struct Dice {
    seed: u64,
    thrown: AtomicU64,
}

impl Default for Dice {
    fn default() -> Self {
        Self {
            seed: RandomState::new().hash_one("dice"),
            thrown: AtomicU64::new(0),
        }
    }
}

impl Dice {
    pub(crate) fn throw(&self) -> u64 {
        mix(self.seed ^ mix(self.thrown.fetch_add(1, Relaxed)))
    }

    /// A number under `count`; 0 for none.
    pub(crate) fn under(&self, count: usize) -> usize {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let number = self.throw().checked_rem(count).unwrap_or(0);
        usize::try_from(number).unwrap_or(0)
    }

    pub(crate) fn id(&self) -> u128 {
        u128::from(self.throw()) << 64 | u128::from(self.throw())
    }
}
