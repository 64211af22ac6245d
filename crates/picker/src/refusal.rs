//! Requests that are not sent on: which status the client sees, and why.

use crate::{
    headers::{self, DROPPED_REASON},
    proto::{HttpStatus, ImmediateResponse},
};
use bytes::Bytes;

/// The kind of a refusal; its name stands in the body.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Code {
    /// The request itself is wrong.
    BadRequest,
    /// Nothing of the prompt is cached, and only then it was wanted.
    PreconditionFailed,
    /// The body is too large.
    TooLarge,
    /// The body did not come in time.
    Timeout,
    /// Too much load.
    ResourceExhausted,
    /// Nobody to send it to.
    ServiceUnavailable,
    /// What should not happen.
    Internal,
}

impl Code {
    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Timeout => 408,
            Self::PreconditionFailed => 412,
            Self::TooLarge => 413,
            Self::ResourceExhausted => 429,
            Self::Internal => 500,
            Self::ServiceUnavailable => 503,
        }
    }

    /// The name in bodies and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "BadRequest",
            Self::Timeout => "RequestTimeout",
            Self::PreconditionFailed => "PreconditionFailed",
            Self::TooLarge => "PayloadTooLarge",
            Self::ResourceExhausted => "ResourceExhausted",
            Self::Internal => "Internal",
            Self::ServiceUnavailable => "ServiceUnavailable",
        }
    }
}

/// Why a request was dropped, for machines: the value of [`DROPPED_REASON`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dropped {
    /// Too much load.
    Saturated,
    /// Nobody to send it to.
    NoEndpoints,
    /// It waited too long in the queue.
    TtlExpired,
    /// The picker is about to stop.
    ShuttingDown,
    /// The client left.
    ContextCancelled,
}

impl Dropped {
    /// The header's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Saturated => "rejected-saturated",
            Self::NoEndpoints => "rejected-no-endpoints",
            Self::TtlExpired => "rejected-ttl-expired",
            Self::ShuttingDown => "rejected-shutting-down",
            Self::ContextCancelled => "rejected-context-cancelled",
        }
    }
}

/// A request that is not sent on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Its kind.
    pub code: Code,
    /// What a person reads.
    pub message: String,
    /// What a machine reads.
    pub reason: Option<Dropped>,
}

impl Refusal {
    /// A refusal without a reason for machines.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            reason: None,
        }
    }

    /// The request itself is wrong.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, message)
    }

    /// No endpoint may take it: the pool is empty, or the subset names none of it.
    #[must_use]
    pub fn no_candidates() -> Self {
        Self {
            code: Code::ServiceUnavailable,
            message: "failed to find endpoint candidates for serving the request".to_owned(),
            reason: Some(Dropped::NoEndpoints),
        }
    }

    /// Endpoints there are, but filters left none.
    #[must_use]
    pub fn filtered() -> Self {
        Self {
            code: Code::ResourceExhausted,
            message: "no endpoints available for the given request".to_owned(),
            reason: Some(Dropped::Saturated),
        }
    }

    /// The body that the client reads.
    #[must_use]
    pub fn body(&self) -> String {
        format!("inference error: {} - {}", self.code.name(), self.message)
    }

    /// The message that makes Envoy answer so.
    #[must_use]
    pub fn response(&self) -> ImmediateResponse {
        let reason = self
            .reason
            .map(|reason| (DROPPED_REASON, Bytes::from_static(reason.name().as_bytes())));
        ImmediateResponse {
            status: Some(HttpStatus {
                code: i32::from(self.code.status()),
            }),
            headers: reason.map(|reason| headers::set([reason])),
            body: self.body().into(),
            details: self.reason.map_or("", Dropped::name).to_owned(),
        }
    }
}
