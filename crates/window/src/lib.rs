//! Memory that two processes of one machine share.
//!
//! The one makes a [`Window`] and hands it through a socket ([`Hatch`], [`hand`]) to the other, which
//! takes it ([`take`]) and maps it too. Whoever can come to that socket is on the same machine; a secret
//! that travelled on another way says which window is meant.
//!
//! A window is no file that anybody could find, and its length is sealed: a process that could cut it off
//! would kill the other one at its next look. Bytes are copied in and out and never referred to, because
//! the other process may write them at any time; so whoever wants to rely on bytes takes a copy first and
//! checks that.
//!
//! Linux only; elsewhere making and taking fail and nothing is shared.

mod hatch;
#[cfg(target_os = "linux")]
mod map;
#[cfg(not(target_os = "linux"))]
#[path = "absent.rs"]
mod map;

pub use hatch::{Hatch, reach};
pub use map::{Window, hand, secret, take};

/// Bytes that are not within a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{len} bytes at {at} are not within a window of {window}")]
pub struct Outside {
    /// From where.
    pub at: usize,
    /// How many.
    pub len: usize,
    /// Bytes of the window.
    pub window: usize,
}

#[cfg(test)]
mod tests;
