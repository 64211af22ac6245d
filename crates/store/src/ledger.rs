//! One truthful account of what was asked for and what came of it, for each namespace and door.

use crate::catalog::Gone;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which protocol a client speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Door {
    /// `lm://`.
    Lm,
    /// RESP.
    Resp,
    /// Our own.
    Native,
    /// People, over the admin address.
    Admin,
}

impl Door {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Lm, Self::Resp, Self::Native, Self::Admin];

    /// Those whose connections are counted.
    pub const SOCKETS: [Self; 3] = [Self::Lm, Self::Resp, Self::Native];

    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lm => "lm",
            Self::Resp => "resp",
            Self::Native => "native",
            Self::Admin => "admin",
        }
    }
}

/// Why a PUT was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// The tier is smaller than the block, or the door's bound is.
    #[error("the block is larger than the store takes")]
    TooLarge,
    /// All that is there is pinned, promised or being read or written.
    #[error("no room: all blocks are pinned, promised or in use")]
    Full,
    /// The namespace has blocks of one size, and this is none.
    #[error("the namespace's blocks have another size")]
    WrongSize,
    /// The key is too long or empty.
    #[error("the key is empty or too long")]
    Key,
}

impl Refusal {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::TooLarge, Self::Full, Self::WrongSize, Self::Key];

    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Full => "full",
            Self::WrongSize => "wrong_size",
            Self::Key => "key",
        }
    }
}

/// A number that only grows.
#[derive(Default, Debug)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// How many so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one door did in one namespace.
#[derive(Default, Debug)]
pub struct Ledger {
    /// Questions whether a block is there.
    pub lookups: Counter,
    /// Those answered yes.
    pub lookup_hits: Counter,
    /// Blocks read.
    pub hits: Counter,
    /// Their bytes.
    pub hit_bytes: Counter,
    /// Blocks asked for that were not there, by why.
    pub misses: [Counter; Gone::ALL.len()],
    /// Blocks taken in.
    pub puts: Counter,
    /// Their bytes.
    pub put_bytes: Counter,
    /// Of those: there was a block of that key with other bytes.
    pub replaced: Counter,
    /// Blocks whose client went before all bytes were there.
    pub aborted: Counter,
    /// Blocks refused, by why.
    pub refused: [Counter; Refusal::ALL.len()],
}
