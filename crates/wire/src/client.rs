//! The client of [`crate::native`]: blocking, for threads of its user's own.
//!
//! A call has a connection to itself, taken from a pool, so that blocks are read from the socket
//! straight into the caller's buffers and written from there. Calls run beside one another on as
//! many connections as there are callers. Every call has a deadline; one that fails leaves its
//! connection behind and the next one opens another. A store that can't be reached is left alone
//! for a while, and calls fail at once meanwhile: to an engine each failure is a miss.

mod breaker;
mod connection;
mod error;
mod pool;

pub use error::ClientError;
pub use pool::{Client, ClientConfig, GetBlock, PutBlock};
