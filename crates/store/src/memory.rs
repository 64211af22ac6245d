//! The memory tier: one region, in which blocks lie in runs of pages.
//!
//! The region is reserved at the start and touched as blocks come, so what the store takes never
//! exceeds it. A block is read from the socket into its place and written to the socket from
//! there; nothing is copied between. All of it is safe Rust: a run is a [`bytes::BytesMut`] split
//! from the region, exclusively owned by its block, and joined with its neighbours when it comes
//! back.

mod arena;
mod block;
mod runs;

pub use arena::Arena;
pub use block::{Block, Draft, INLINE_MAX};

/// Pages are the unit in which blocks are kept.
pub const PAGE: usize = 4096;

#[cfg(test)]
mod tests;
