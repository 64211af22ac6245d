//! A block and what is known of it.

use crate::{keys::Key, memory::Block, namespace::NamespaceId};
use onefill_wire::lm;
use std::sync::Arc;

/// What a door wants to be told again with the block.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Attributes {
    /// Nothing.
    #[default]
    None,
    /// The layout that `lm://` sends with a block, kept once for all that have it (see
    /// [`Namespace::share`](crate::Namespace::share)). Without it that door can't answer.
    Lm(Arc<lm::Layout>),
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

/// What the table knows of a block: of each there is one, so that nothing is in it that only a few
/// have. Their promises and ends lie apart.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) key: Key,
    pub(super) stored: Arc<Stored>,
    /// A part of the key's hash.
    pub(super) mark: u32,
    pub(super) namespace: NamespaceId,
    pub(super) pinned: bool,
}

impl Record {
    /// Bytes that are charged for it.
    pub(super) fn bytes(&self) -> usize {
        RECORD_BYTES + self.key.heap_bytes() + self.stored.block.heap_bytes()
    }
}

/// What a record with a key as engines make them takes beside its block's pages, the policy's part and
/// that of the tables included (a test counts them). Longer keys and blocks in pieces are charged beside
/// it.
pub const RECORD_BYTES: usize = 200;
/// What a block's end takes.
pub(super) const END_BYTES: usize = 64;
