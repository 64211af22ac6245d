//! A replica's number, and how well its cache is known.

use std::fmt;

/// Most replicas (data-parallel ranks and stores counted) that one fleet can hold: numbers index
/// bitsets.
pub const REPLICAS_MAX: usize = 8192;

/// Number of a replica in the fleet: dense, given by the fleet, reused after a replica is gone
/// and forgotten by the index. With data parallelism each rank has its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(transparent)]
pub struct ReplicaId(pub u16);

/// How well the router knows what a replica's cache holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Knowledge {
    /// Its events are complete: the index says what it holds.
    Exact,
    /// No events, or incomplete ones: the router guesses from what it sent there.
    Approximate,
    /// Not even that (no tokens, no block size): only its load is known.
    LoadOnly,
}

impl Knowledge {
    /// The name used in receipts and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Approximate => "approximate",
            Self::LoadOnly => "load-only",
        }
    }
}

impl fmt::Display for Knowledge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
