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

    /// From 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        (self.throw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn id(&self) -> u128 {
        u128::from(self.throw()) << 64 | u128::from(self.throw())
    }
}
