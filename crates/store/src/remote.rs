//! The remote tier: blocks as objects of an engine that exists, S3 or Valkey, which outlive this
//! machine and which other stores read too.
//!
//! ```text
//! object   PREFIX/NAMESPACE/xxh3-128 of the key, hex
//! bytes    a record's header as on disk (see [`crate::disk`]; segment, offset, serial and secret 0),
//!          padded to a multiple of 512; then the block
//! ```
//!
//! Whoever reads an object compares namespace, key, length and checksum before a byte leaves: what is
//! not what was asked for is a miss. Blocks are written behind, several at once; of a key the last
//! write wins, and a key that was taken out is answered as a miss from then on.

mod absent;
mod circuit;
mod format;
mod jobs;
mod tier;

use bytes::Bytes;
use std::{fmt, pin::Pin, time::Duration};

pub use tier::{RemoteConfig, RemoteStat, RemoteTier};

/// What an engine answers, later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, RemoteError>> + Send + 'a>>;

/// An engine that could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RemoteError(pub Box<dyn std::error::Error + Send + Sync>);

/// An engine that keeps objects by name. Whoever calls gives a deadline and drops the future at its
/// end.
///
/// An implementation MUST show an object only once all its bytes are there, MUST show the last one
/// that was put after that call has returned, and MUST NOT answer `None` where it can't know.
pub trait Remote: fmt::Debug + Send + Sync {
    /// The first `bytes` of an object, fewer where it is shorter; `None`: there is none.
    fn head<'a>(&'a self, name: &'a str, bytes: usize) -> Answer<'a, Option<Bytes>>;
    /// An object, piece by piece; `None`: there is none.
    fn get<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Box<dyn Pieces>>>;
    /// Keeps an object, in place of one of the same name, for `ttl` if it is said.
    fn put<'a>(
        &'a self,
        name: &'a str,
        pieces: Vec<Bytes>,
        ttl: Option<Duration>,
    ) -> Answer<'a, ()>;
    /// Takes an object out; none is no error.
    fn delete<'a>(&'a self, name: &'a str) -> Answer<'a, ()>;
    /// Takes out all objects whose names begin with `folder` and `/`; how many there were.
    fn erase<'a>(&'a self, folder: &'a str) -> Answer<'a, u64>;
}

/// An object's bytes, in order.
pub trait Pieces: Send {
    /// The next ones; `None` at the end.
    fn next(&mut self) -> Answer<'_, Option<Bytes>>;
}

#[cfg(test)]
mod tests;
