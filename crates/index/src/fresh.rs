//! Names of blocks placed lately that are not in the map yet. Their buckets are on the way from
//! memory meanwhile: with one new block an event, the usual case, there is nothing else to do while
//! one comes. Whoever asks for what may wait here has it put into the map first, in the order in
//! which it was told ([`crate::writer`]), so nothing else knows of the delay.

use onefill_kv::{EngineHash, ReplicaId};

use crate::names::{Name, Place};

/// Most names that wait: cache misses that the machine serves side by side.
const FRESH_MAX: usize = 16;

/// A name that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FreshName {
    pub(crate) replica: ReplicaId,
    pub(crate) hash: EngineHash,
    pub(crate) name: Name,
    pub(crate) place: Place,
}

/// Names that wait, in order.
#[derive(Debug, Default)]
pub(crate) struct Fresh {
    /// Hashes of the names, beside them because they are what is asked for. Those beyond the names
    /// are left over.
    hashes: [u64; FRESH_MAX],
    names: Vec<FreshName>,
}

impl Fresh {
    /// Adds a name; the caller makes room first.
    #[inline]
    pub(crate) fn push(&mut self, name: FreshName) {
        self.hashes[self.names.len() % FRESH_MAX] = name.hash.0;
        self.names.push(name);
    }

    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.names.len() >= FRESH_MAX
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether the hash may wait here.
    #[inline]
    pub(crate) fn may_have(&self, hash: EngineHash) -> bool {
        let same = self.hashes.iter().map(|waits| *waits == hash.0);
        same.fold(false, |any, same| any | same) && !self.is_empty()
    }

    /// The name numbered `at`.
    #[inline]
    pub(crate) fn get(&self, at: usize) -> Option<FreshName> {
        self.names.get(at).copied()
    }

    pub(crate) fn clear(&mut self) {
        self.names.clear();
    }
}
