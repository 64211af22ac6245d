//! A block and what is known of it.

use crate::{memory::Block, namespace::NamespaceId};
use onefill_wire::lm;
use std::sync::Arc;

/// What a door wants to be told again with the block.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Attributes {
    /// Nothing.
    #[default]
    None,
    /// The layout that `lm://` sends with a block. Without it that door can't answer.
    Lm(lm::Layout),
}

/// A committed block. Whoever holds it can read it, whatever becomes of its record.
#[derive(Debug)]
pub struct Stored {
    /// Its bytes.
    pub block: Block,
    /// What else its door sent.
    pub attributes: Attributes,
}

/// When a PUT shall take place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Condition {
    /// In any case.
    #[default]
    Always,
    /// If there is no such key.
    Absent,
    /// If there is one.
    Present,
}

/// How a block is put.
#[derive(Clone, Debug, Default)]
pub struct Put {
    /// When it shall take place.
    pub condition: Condition,
    /// When the block ends.
    pub expires_ms: Option<u64>,
    /// Keep the end that a block of that key has.
    pub keep_expiry: bool,
    /// Key of the block before it in its chain.
    pub parent: Option<Box<[u8]>>,
    /// What else the door sent.
    pub attributes: Attributes,
    /// xxh3-128 that the client took of the bytes: others are not kept.
    pub sum: Option<u128>,
}

/// The end of a block that has none.
pub(super) const NEVER: u64 = u64::MAX;

#[derive(Debug)]
pub(super) struct Record {
    pub(super) namespace: NamespaceId,
    pub(super) key: Box<[u8]>,
    pub(super) hash: u64,
    /// Tells records apart that had the same slot within a lease's time.
    pub(super) serial: u32,
    pub(super) stored: Arc<Stored>,
    /// Promises that the block stays, each until it is fetched.
    pub(super) leases: u32,
    /// When the last of them lapses.
    pub(super) leased_until_ms: u64,
    /// [`NEVER`] where it has no end: an `Option` would take as much again.
    pub(super) end_ms: u64,
    pub(super) pinned: bool,
}

impl Record {
    pub(super) fn is_expired(&self, now_ms: u64) -> bool {
        self.end_ms <= now_ms
    }

    /// When it ends, if it does.
    pub(super) fn expires_ms(&self) -> Option<u64> {
        (self.end_ms != NEVER).then_some(self.end_ms)
    }

    /// Whether eviction may take it: nobody reads it, nobody was promised it.
    pub(super) fn may_go(&self, now_ms: u64) -> bool {
        let leased = self.leases > 0 && self.leased_until_ms > now_ms;
        !self.pinned && !leased && Arc::strong_count(&self.stored) == 1
    }
}
