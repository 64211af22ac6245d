//! Why a connection ended.

use onefill_wire::{lm::LmError, native::NativeError, resp::RespError};
use std::io;

/// Why a connection ended other than by the client's own will.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The client went in the middle of a command.
    #[error("the client went in the middle of a command")]
    Cut,
    /// It neither sent nor took bytes for so long that it is given up.
    #[error("the client stalled")]
    Stalled,
    /// Bytes that are no command.
    #[error("not lm: {0}")]
    Lm(#[from] LmError),
    /// Bytes that are no frame.
    #[error("not native: {0}")]
    Native(#[from] NativeError),
    /// Bytes that are no command.
    #[error("not RESP: {0}")]
    Resp(#[from] RespError),
    /// No TLS, or a certificate that is not good.
    #[error("TLS: {0}")]
    Tls(io::Error),
    /// The socket's own fault.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl DoorError {
    /// Its name in metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Stalled => "stalled",
            Self::Lm(_) | Self::Native(_) | Self::Resp(_) => "protocol",
            Self::Tls(_) => "tls",
            Self::Io(_) => "io",
        }
    }
}
