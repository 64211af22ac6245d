//! Engine event bytes to kv words and back. Pure: no IO, no allocation beyond a bound.
#![forbid(unsafe_code)]

mod decode;
pub mod encode;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod msgpack;
mod pack;

pub use decode::{Decoder, PAYLOAD_BYTES_MAX};
use onefill_kv::{ContentHash, EngineHash, Tier};

/// What one event says, in our words. Borrowed from the decoder's buffers: valid until the next.
#[derive(Debug)]
pub enum Event<'a> {
    /// Blocks that the engine now holds in a tier.
    Stored(Stored<'a>),
    /// Copies of blocks that it no longer holds there.
    Removed(Removed<'a>),
    /// Everything is gone, in all tiers of this replica.
    Cleared,
}

/// One block of a [`Stored`] event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoredBlock {
    /// The engine's name of the block.
    pub hash: EngineHash,
    /// Our hash of its tokens and of its own extra keys (images), without prefix, `LoRA` or salt.
    pub content: ContentHash,
}

/// What is known of the cache salt of a chain's first block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Salt<'a> {
    /// The event tells: this salt, or none.
    Known(Option<&'a str>),
    /// The event leaves extra keys out (offload tiers do): the chain may be salted. Who places it
    /// must know the blocks already or refuse them.
    Unknown,
}

/// Blocks stored in one tier, in chain order.
#[derive(Debug)]
pub struct Stored<'a> {
    /// The blocks, first to last.
    pub blocks: &'a [StoredBlock],
    /// The token ids as they came, `block_tokens` a block (for who wants to recompute hashes).
    pub tokens: &'a [u32],
    /// Engine's name of the block before the first; `None`: the chain starts here.
    pub parent: Option<EngineHash>,
    /// Tokens a block.
    pub block_tokens: u32,
    /// The tier that holds them.
    pub tier: Tier,
    /// `LoRA` adapter's name.
    pub lora: Option<&'a str>,
    /// Salt of the first block; meaningful where `parent` is `None`.
    pub salt: Salt<'a>,
    /// KV cache group (0 for a plain model).
    pub group: u32,
    /// Whether the group is full attention (or says nothing about it): only such blocks tell how
    /// long a prefix is.
    pub full_attention: bool,
    /// Identity of a secondary tier ("ownership"), where the event names one.
    pub owner: Option<&'a str>,
}

/// Copies removed from one tier.
#[derive(Debug)]
pub struct Removed<'a> {
    /// The engine's names of the blocks.
    pub hashes: &'a [EngineHash],
    /// The tier that no longer holds them.
    pub tier: Tier,
    /// KV cache group.
    pub group: u32,
}

/// What a batch said about itself.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct BatchInfo {
    /// Unix time at which the engine published it, in seconds.
    pub published_s: f64,
    /// Data-parallel rank, where given.
    pub rank: Option<u32>,
    /// Events decoded.
    pub events: u32,
    /// Events of an unknown type or with an unknown medium, skipped.
    pub unknown_events: u32,
    /// Stored blocks without the tokens of each (offload tiers without
    /// "`self_describing_kv_events`", groups that keep only some blocks), skipped.
    pub undescribed_events: u32,
    /// Fields with an unknown name, skipped.
    pub unknown_fields: u32,
}

/// Where and why a payload can't be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("event batch: {reason} at byte {offset}")]
pub struct DecodeError {
    /// Byte of the payload.
    pub offset: usize,
    /// What was wrong there.
    pub reason: &'static str,
}
