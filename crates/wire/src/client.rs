//! The client of [`crate::native`]: blocking, for threads of its user's own.
//!
//! A call has a connection to itself, taken from a pool, so that blocks are read from the socket
//! straight into the caller's buffers and written from there. Calls run beside one another on as
//! many connections as there are callers. Every call has a deadline; one that fails leaves its
//! connection behind and the next one opens another. A store that can't be reached is left alone
//! for a while, and calls fail at once meanwhile: to an engine each failure is a miss.
//!
//! With a store on the same machine each connection that moves blocks shares memory with it
//! ([`ClientConfig::window_bytes`]): blocks go through that, one copy on either side, and messages about
//! them through the socket. Where there is none to be had all goes through the socket.

mod breaker;
mod connection;
mod error;
mod pool;
mod stream;
mod tls;
mod transfer;
mod window;

pub use error::ClientError;
pub use pool::{Client, ClientConfig, GetBlock, PutBlock, WINDOW_BYTES};
pub use tls::{Tls, TlsError, TlsFiles};
