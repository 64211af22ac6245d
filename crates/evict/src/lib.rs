//! Which block goes when there is no room: machines without IO, clock or bytes, driven by the
//! store and, with simulated time, by the simulator.
//!
//! A policy knows blocks by small numbers that their owner gives and takes back. It never decides
//! whether a block *may* go (leases, pins, readers are the owner's): it proposes, in its order.

#![forbid(unsafe_code)]

mod density;
mod ghosts;
mod heap;
mod lru;
mod paged;
mod s3fifo;
mod slots;

pub use density::Density;
pub use lru::Lru;
pub use paged::Paged;
pub use s3fifo::S3Fifo;

#[cfg(test)]
mod tests;

/// A block's number while it is there. Numbers are used again.
pub type BlockId = u32;

/// What a policy may know of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    /// Names the block also after it has gone, so that its coming back can be seen.
    pub fingerprint: u64,
    /// The block before it in its chain, if that is there. It goes after this one.
    pub parent: Option<BlockId>,
}

/// An order of eviction.
pub trait Policy: Send + std::fmt::Debug {
    /// A block has come. The caller guarantees that `id` is not in use.
    fn inserted(&mut self, id: BlockId, facts: Facts);

    /// It was read, or asked for and found.
    fn touched(&mut self, id: BlockId);

    /// It has gone: because the policy proposed it, then `evicted` is the fingerprint with which it
    /// came, or for another reason.
    fn removed(&mut self, id: BlockId, evicted: Option<u64>);

    /// The first block in the order of eviction for which `may_go` holds; `None` after
    /// [`PROPOSALS_MAX`] refusals. An implementation MUST leave the block in place until
    /// [`Self::removed`], and MUST NOT propose a block that another one calls its parent.
    fn victim(&mut self, may_go: &mut dyn FnMut(BlockId) -> bool) -> Option<BlockId>;
}

/// Blocks that one search proposes at most: leases and readers are few beside blocks.
pub const PROPOSALS_MAX: usize = 4096;

/// Policies by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Choice {
    /// The leaf that was used longest ago.
    #[default]
    Lru,
    /// Small, main and ghost queue; for working sets far larger than the tier.
    S3Fifo,
    /// The leaf that promises the fewest hits for its room.
    Density,
}

impl Choice {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lru, Self::S3Fifo, Self::Density];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lru => "lru",
            Self::S3Fifo => "s3-fifo",
            Self::Density => "density",
        }
    }

    /// A new policy of that kind.
    #[must_use]
    pub fn build(self) -> Box<dyn Policy> {
        match self {
            Self::Lru => Box::new(Lru::default()),
            Self::S3Fifo => Box::new(S3Fifo::default()),
            Self::Density => Box::new(Density::default()),
        }
    }
}
