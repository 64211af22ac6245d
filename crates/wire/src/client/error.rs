//! Why a call failed.

use crate::native::{NativeError, Status};
use std::io;

/// Why a call failed. None of its answers are known then; a buffer of a GET may hold anything.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The deadline came first.
    #[error("the deadline came before the answer")]
    Late,
    /// The store could not be reached lately and is left alone for now.
    #[error("the store is left alone after it could not be reached")]
    Resting,
    /// No connection, or it broke.
    #[error("connection: {0}")]
    Io(#[source] io::Error),
    /// The store's bytes are not understood.
    #[error("answer: {0}")]
    Protocol(#[from] NativeError),
    /// The store answered something else.
    #[error("the answer is to another request")]
    OutOfStep,
    /// The store refused the request as a whole.
    #[error("refused ({status:?}): {sentence}")]
    Refused {
        /// How.
        status: Status,
        /// Why.
        sentence: String,
    },
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        // A socket's time-out is the one or the other, by system.
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Late,
            _ => Self::Io(error),
        }
    }
}

impl ClientError {
    /// Whether a connection that had lain idle may have been closed at the other end: then another
    /// one may do.
    pub(super) fn is_stale(&self) -> bool {
        matches!(self, Self::Io(_))
    }
}
