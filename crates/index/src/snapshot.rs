//! The index as bytes, for a restart that begins warm.
//!
//! All numbers little-endian; a list is its length (`u32`) and its records.
//!
//! ```text
//! head       magic:8 | version:u32 | shard bits of names:u32 | identity:u64
//! replicas   number:u16 | mark:u64 | name: bytes
//! runs       parent:u32, u32::MAX for none | at:u16 | haunted:u8 | keys: u64.. | spans: span..
//! span       replica:u16 | tier:u8 | start:u16 | end:u16
//! names      shard and home and tag:u64 | run:u32 | at:u16
//! copies     run:u32 | at:u16 | replica:u16 | tier:u8 | beyond the first:u8
//! aliases    replica:u16 | engine hash:u64 | run:u32 | at:u16
//! strangers  replica:u16 | disagreements:u32
//! orphans    parent's engine hash:u64 | replica:u16 | tier:u8 | engine hash:u64 | content:u64
//! tail       xxh3 of all before:u64
//! ```
//!
//! A run's number is its place in the list; a parent stands before its children. Loading trusts
//! nothing: bytes that are damaged, of another version or of another identity are refused, and who
//! loads starts cold and says so. What has no room in a smaller index is dropped and counted.

mod bytes;
mod load;
mod save;

use onefill_kv::ReplicaId;

pub use load::load;

const MAGIC: &[u8; 8] = b"1fIndex\n";
/// Raised with every change of the format.
const VERSION: u32 = 1;
const NO_PARENT: u32 = u32::MAX;

/// What a snapshot says of a replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SavedReplica<'a> {
    /// Its number in the index.
    pub replica: ReplicaId,
    /// What it is known by after a restart, when it may have another number.
    pub name: &'a str,
    /// The caller's own: how far its events had been applied, say.
    pub mark: u64,
}

/// Why a snapshot can't be used: start cold.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LoadError {
    /// The bytes are something else, or fewer than a head.
    #[error("not a snapshot of an index")]
    NotASnapshot,
    /// Another program wrote them.
    #[error("a snapshot of version {found}, this program reads {VERSION}")]
    OtherVersion {
        /// The version found.
        found: u32,
    },
    /// Its keys mean something else: another seed, model or block size.
    #[error("a snapshot of another model, block size or seed")]
    OtherIdentity,
    /// The checksum doesn't fit.
    #[error("the snapshot is damaged")]
    Damaged,
    /// The checksum fits and the contents make no sense.
    #[error("the snapshot contradicts itself: {0}")]
    Absurd(&'static str),
}

#[cfg(test)]
mod tests;
