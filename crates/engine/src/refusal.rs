//! Requests that are not answered, and how vLLM says so.

use crate::replica::Replica;
use http::StatusCode;
use serde_json::{Value as Json, json};

/// An error answer.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    message: String,
    kind: &'static str,
    parameter: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn bad(message: String) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            message,
            kind: "BadRequestError",
            parameter: None,
        }
    }

    pub(crate) fn too_long(replica: &Replica, prompt_tokens: usize, most: usize) -> Self {
        let length = replica.config.model_len();
        Self {
            parameter: Some("max_tokens"),
            ..Self::bad(format!(
                "the maximum context length is {length} tokens; the prompt has {prompt_tokens} \
                 and {most} were asked for"
            ))
        }
    }

    pub(crate) fn unknown_model(model: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            message: format!("The model `{model}` does not exist."),
            kind: "NotFoundError",
            parameter: Some("model"),
        }
    }

    pub(crate) fn unknown_path() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            message: "Not Found".into(),
            kind: "NotFoundError",
            parameter: None,
        }
    }

    pub(crate) fn too_large() -> Self {
        Self {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            ..Self::bad("the body is too large, or broke off".into())
        }
    }

    /// A fault that was ordered.
    pub(crate) fn ordered(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            message: "a fault that was asked for".into(),
            kind: "InternalServerError",
            parameter: None,
        }
    }

    pub(crate) fn json(&self) -> Json {
        json!({"error": {
            "message": self.message,
            "type": self.kind,
            "param": self.parameter,
            "code": self.status.as_u16(),
        }})
    }
}
