//! One function turns the cause of a failure into a status, whose fault it was, and whether
//! another replica may be tried. Every failure reaches the client as `OpenAI`'s error object:
//! `{"error":{"message","type","param","code"}}`.

use crate::reply::{self, Reply};
use http::{HeaderValue, StatusCode, header::RETRY_AFTER};
use onefill_prompt::BodyError;
use serde_json::json;

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cause {
    #[error("no such path: {0}")]
    UnknownPath(String),
    #[error("{0} is not allowed here")]
    Method(http::Method),
    #[error("the API key is missing or wrong: send `Authorization: Bearer KEY`")]
    Unauthorized,
    #[error("the body is larger than {limit} bytes")]
    BodyTooLarge { limit: usize },
    #[error("the body did not arrive in time")]
    BodyTimeout,
    #[error("the body broke off")]
    BodyBroken,
    #[error("the body is not valid: {0}")]
    BadBody(#[from] BodyError),
    #[error("{0}")]
    BadRequest(String),
    #[error("the model `{0}` does not exist here")]
    UnknownModel(String),
    #[error("too many requests wait already")]
    QueueFull,
    #[error("no replica was free in time")]
    QueueTimeout,
    #[error("no replica is ready to serve this")]
    NoReplica,
    #[error("replica can't be reached: {0}")]
    Connect(std::io::Error),
    #[error("replica broke off before it answered: {0}")]
    Broken(hyper::Error),
    #[error("replica takes no requests now")]
    Busy,
    #[error("replica did not answer in time")]
    FirstByteTimeout,
}

/// Whose fault a failure was.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Fault {
    Client,
    Router,
    Replica,
}

impl Fault {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Router => "router",
            Self::Replica => "replica",
        }
    }
}

/// What follows from a cause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Verdict {
    pub(crate) status: StatusCode,
    pub(crate) kind: &'static str,
    pub(crate) code: &'static str,
    pub(crate) fault: Fault,
    /// Whether another replica may be tried.
    pub(crate) retry: bool,
    /// Seconds after which a client may come again.
    pub(crate) retry_after_s: Option<u32>,
}

const INVALID: &str = "invalid_request_error";

/// What follows from this cause.
pub(crate) fn judge(cause: &Cause) -> Verdict {
    use Cause as C;
    let client = |status, code| verdict(status, INVALID, code, Fault::Client);
    match cause {
        C::UnknownPath(_) => client(StatusCode::NOT_FOUND, "unknown_url"),
        C::Method(_) => client(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
        C::Unauthorized => client(StatusCode::UNAUTHORIZED, "invalid_api_key"),
        C::BodyTooLarge { .. } => client(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
        C::BodyTimeout => client(StatusCode::REQUEST_TIMEOUT, "body_timeout"),
        C::BodyBroken | C::BadRequest(_) => client(StatusCode::BAD_REQUEST, "invalid_body"),
        C::BadBody(_) => client(StatusCode::BAD_REQUEST, "invalid_json"),
        C::UnknownModel(_) => client(StatusCode::NOT_FOUND, "model_not_found"),
        C::QueueFull => Verdict {
            retry_after_s: Some(1),
            ..verdict(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limit_error",
                "queue_full",
                Fault::Router,
            )
        },
        C::QueueTimeout => unavailable("queue_timeout", Fault::Router),
        C::NoReplica => unavailable("no_replica", Fault::Router),
        C::Connect(_) | C::Busy => Verdict {
            retry: true,
            ..unavailable("no_replica", Fault::Replica)
        },
        C::Broken(_) => Verdict {
            retry: true,
            ..verdict(
                StatusCode::BAD_GATEWAY,
                "server_error",
                "replica_broke",
                Fault::Replica,
            )
        },
        C::FirstByteTimeout => {
            // Not again: the replica may be computing it, and the next would take as long.
            verdict(
                StatusCode::GATEWAY_TIMEOUT,
                "server_error",
                "replica_timeout",
                Fault::Replica,
            )
        }
    }
}

const fn verdict(
    status: StatusCode,
    kind: &'static str,
    code: &'static str,
    fault: Fault,
) -> Verdict {
    Verdict {
        status,
        kind,
        code,
        fault,
        retry: false,
        retry_after_s: None,
    }
}

const fn unavailable(code: &'static str, fault: Fault) -> Verdict {
    let verdict = verdict(StatusCode::SERVICE_UNAVAILABLE, "server_error", code, fault);
    Verdict {
        retry_after_s: Some(1),
        ..verdict
    }
}

/// The answer that tells a client of it.
pub(crate) fn answer(cause: &Cause) -> Reply {
    let verdict = judge(cause);
    let param = matches!(cause, Cause::UnknownModel(_)).then_some("model");
    let error = json!({ "error": {
        "message": cause.to_string(), "type": verdict.kind, "param": param, "code": verdict.code,
    }});
    let mut reply = reply::json(verdict.status, &error);
    if let Some(seconds) = verdict.retry_after_s {
        reply
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    reply
}
