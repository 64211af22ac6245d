//! Names of blocks placed lately that are not in the map yet. Their buckets are on the way from
//! memory meanwhile: with one new block an event, the usual case, there is nothing else to do while
//! one comes. Whoever asks for what may wait here has it put into the map first, in the order in
//! which it was told ([`crate::writer`]), so nothing else knows of the delay.

use onefill_kv::{EngineHash, ReplicaId};

use crate::names::{Name, Place};

/// Most names that wait.
const FRESH_MAX: usize = 32;
/// How many wait on when room is made: cache misses that the machine serves side by side.
pub(crate) const FRESH_KEPT: usize = 16;

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
    /// Halves of the names' hashes, beside them because they are what is asked for; of names that
    /// no longer wait too.
    halves: [u32; FRESH_MAX],
    names: [Option<FreshName>; FRESH_MAX],
    /// Names ever taken, and ever added.
    taken: usize,
    added: usize,
}

impl Fresh {
    /// Adds a name; the caller makes room first.
    #[inline]
    pub(crate) fn push(&mut self, name: FreshName) {
        let at = self.added % FRESH_MAX;
        self.halves[at] = name.hash.0 as u32;
        self.names[at] = Some(name);
        self.added = self.added.wrapping_add(1);
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.added.wrapping_sub(self.taken)
    }

    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.len() >= FRESH_MAX
    }

    /// Whether the hash may wait here.
    #[inline]
    pub(crate) fn may_have(&self, hash: EngineHash) -> bool {
        let same = self.halves.iter().map(|half| *half == hash.0 as u32);
        same.fold(false, |any, same| any | same) && self.len() > 0
    }

    /// Takes the name that has waited longest.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<FreshName> {
        if self.len() == 0 {
            return None;
        }
        let name = self.names[self.taken % FRESH_MAX];
        self.taken = self.taken.wrapping_add(1);
        name
    }
}
