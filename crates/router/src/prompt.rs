//! A body becomes a question: for which model, how many tokens, with which block keys.

use crate::{
    app::App,
    candidates::{self, Serving},
    error::Cause,
    metrics::TokenSource,
    tokens::{self, Source},
};
use bytes::Bytes;
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use onefill_prompt::{Asked, Door, Namespace};
use onefill_question::{Keys, Made, Question, block_sizes, text_keys};
use onefill_schedule::Policy;

/// What a request asks, and where its tokens came from.
#[derive(Debug)]
pub(crate) struct Prompt {
    pub(crate) question: Question,
    pub(crate) source: TokenSource,
    /// Keys for the record alone, where the policy needs none.
    aside: Option<Keys>,
}

/// Reads a body once. Only of known doors must it be readable: others are the replica's matter.
pub(crate) fn scan<'a>(
    door: Door,
    headers: &HeaderMap,
    body: &'a Bytes,
) -> Result<Asked<'a>, Cause> {
    if headers.contains_key(CONTENT_ENCODING) || body.is_empty() && door == Door::Other {
        return Ok(Asked::default());
    }
    match onefill_prompt::scan(door, body) {
        Ok(asked) => Ok(asked),
        Err(_) if door == Door::Other && !claims_json(headers) => Ok(Asked::default()),
        Err(error) => Err(error.into()),
    }
}

fn claims_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"))
}

/// What is asked, with the keys that the policy needs.
pub(crate) async fn prompt(
    app: &App,
    asked: &Asked<'_>,
    request: (Door, &Bytes),
    serving: &Serving,
) -> Prompt {
    let sizes = block_sizes(candidates::replicas(&serving.members));
    let space = |block_tokens: u32| Namespace {
        seed: app.config.seed,
        block_tokens: block_tokens as usize,
        lora: serving.lora.as_deref(),
        salt: asked.cache_salt.as_deref(),
    };
    let from = Source {
        app,
        asked,
        door: request.0,
        body: request.1,
        serving,
    };
    let (source, keys) = match app.config.policy {
        Policy::Kv => tokens::keys(&from, &sizes, space).await,
        Policy::Prefix => (TokenSource::Text, text_keys(asked, &sizes, space)),
        _ => (TokenSource::Size, Made::new()),
    };
    let aside = match (&app.config.record, keys.is_empty()) {
        (Some(_), true) => {
            let made = tokens::keys_aside(&from, &sizes, space).await;
            made.into_iter().next()
        }
        _ => None,
    };
    app.metrics.prompt(source);
    Prompt {
        question: Question::new(asked, request.1.len(), app.config.seed, keys),
        source,
        aside,
    }
}

impl Prompt {
    /// The keys that go into the record.
    pub(crate) fn recorded(&self) -> Option<&Keys> {
        self.question.first_keys().or(self.aside.as_ref())
    }
}
