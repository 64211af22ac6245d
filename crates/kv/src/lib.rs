//! The words of KV caching, without IO: what a token, a block, a key and a tier are, how a prompt
//! becomes a chain of keys, and how many bytes a token's keys and values take.
//!
//! A *block* is a fixed number of tokens' attention keys and values. Its [`BlockKey`] is chained:
//! it names the block's tokens and every token before them, so equal keys at one position mean
//! equal prefixes. An engine names its blocks with hashes of its own, see [`engine_hash`].
#![forbid(unsafe_code)]

mod as_is;
pub mod engine_hash;
pub mod geometry;
mod key;
mod mix;
mod replica;
mod tier;

pub use as_is::{AsIs, BuildAsIs};
pub use key::{BlockKey, ContentHash, EngineHash, KeySeed, TokenId};
pub use mix::{GOLDEN, mix};
pub use replica::{Knowledge, REPLICAS_MAX, ReplicaId};
pub use tier::{Overlap, Tier};
