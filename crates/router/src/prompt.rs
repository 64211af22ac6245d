//! A body becomes a question: for which model, how many tokens, with which block keys.

use crate::{
    app::App,
    candidates::Serving,
    error::Cause,
    metrics::TokenSource,
    tokens::{self, Source},
};
use bytes::Bytes;
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use onefill_fleet::Status;
use onefill_kv::{Knowledge, Overlap};
use onefill_prompt::{Asked, Door, Input, Keyed, Namespace};
use onefill_schedule::{Ask, Policy};
use smallvec::SmallVec;
use std::sync::Arc;

/// Tokens a block where no replica tells: vLLM's default.
const BLOCK_TOKENS: u32 = 16;

/// Bytes of JSON a token, where nothing better is known: English text has four to five.
const BYTES_A_TOKEN: usize = 4;

/// What a request asks of the fleet.
#[derive(Debug)]
pub(crate) struct Question {
    /// For the scheduler; its chain is that of `keys[0]`.
    pub(crate) ask: Ask,
    /// Keys, once for each block size of the fleet; empty where there are none.
    pub(crate) keys: SmallVec<[Keys; 1]>,
    /// Whether the keys were made from the engine's own tokens.
    pub(crate) exact: bool,
    pub(crate) source: TokenSource,
    /// Keys for the record alone, where the policy needs none.
    aside: Option<Keys>,
}

/// Keys of one block size.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) block_tokens: u32,
    pub(crate) keyed: Keyed,
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
pub(crate) async fn question(
    app: &App,
    asked: &Asked<'_>,
    request: (Door, &Bytes),
    serving: &Serving,
) -> Question {
    let sizes = block_sizes(serving);
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
        _ => (TokenSource::Size, SmallVec::new()),
    };
    let aside = match (&app.config.record, keys.is_empty()) {
        (Some(_), true) => {
            let made = tokens::keys_aside(&from, &sizes, space).await;
            made.into_iter().next()
        }
        _ => None,
    };
    app.metrics.prompt(source);
    let exact = keys.first().is_some_and(|keys: &Keys| keys.keyed.exact);
    Question {
        ask: ask(app, asked, request.1, keys.first()),
        keys,
        exact,
        source,
        aside,
    }
}

fn ask(app: &App, asked: &Asked<'_>, body: &Bytes, keys: Option<&Keys>) -> Ask {
    let session = asked.session.as_deref();
    let guessed = u32::try_from(body.len() / BYTES_A_TOKEN).unwrap_or(u32::MAX);
    Ask {
        prompt_tokens: keys.map_or(guessed, |keys| keys.keyed.prompt_tokens),
        chain: keys.map_or_else(|| Arc::from([]), |keys| Arc::clone(&keys.keyed.chain)),
        block_tokens: keys.map_or(BLOCK_TOKENS, |keys| keys.block_tokens),
        output_tokens_max: asked.output_tokens_max,
        session: session.map(|name| app.config.seed.content_of_bytes(name.as_bytes()).0),
    }
}

/// Keys over the text, where there is one.
pub(crate) fn text_keys<'a>(
    asked: &Asked<'_>,
    sizes: &[u32],
    space: impl Fn(u32) -> Namespace<'a>,
) -> SmallVec<[Keys; 1]> {
    if matches!(asked.input, Input::None) {
        return SmallVec::new();
    }
    let keys = |&block_tokens: &u32| Keys {
        block_tokens,
        keyed: onefill_prompt::text_keys(asked, space(block_tokens)),
    };
    sizes.iter().map(keys).collect()
}

/// The block sizes among these replicas.
fn block_sizes(serving: &Serving) -> SmallVec<[u32; 2]> {
    let mut sizes: SmallVec<[u32; 2]> = SmallVec::new();
    for member in &serving.members {
        if let Some(size) = member.replica.status().block_tokens
            && !sizes.contains(&size)
        {
            sizes.push(size);
        }
    }
    if sizes.is_empty() {
        sizes.push(BLOCK_TOKENS);
    }
    sizes
}

impl Question {
    /// The keys that go into the record.
    pub(crate) fn recorded(&self) -> Option<&Keys> {
        self.keys.first().or(self.aside.as_ref())
    }

    /// The keys that fit a replica's block size.
    pub(crate) fn keys_of(&self, status: &Status) -> Option<&Keys> {
        match status.block_tokens {
            None => self.keys.first(),
            Some(size) => self.keys.iter().find(|keys| keys.block_tokens == size),
        }
    }

    /// An overlap in blocks of `keys`, in blocks of the question. An engine computes at least
    /// the prompt's last token, so a block that ends with it does not count.
    pub(crate) fn counted(&self, overlap: Overlap, keys: &Keys) -> Overlap {
        let usable = self.ask.prompt_tokens.saturating_sub(1) / keys.block_tokens.max(1);
        let scale = |blocks: u32| {
            let tokens = u64::from(blocks.min(usable)) * u64::from(keys.block_tokens);
            u32::try_from(tokens / u64::from(self.ask.block_tokens.max(1))).unwrap_or(u32::MAX)
        };
        Overlap {
            depth: overlap.depth.map(scale),
        }
    }

    /// Whether what the replica reports as cached can be compared with what was expected.
    pub(crate) fn comparable(&self, knowledge: Knowledge) -> bool {
        self.exact && knowledge == Knowledge::Exact
    }
}
