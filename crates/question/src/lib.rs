//! A body becomes a question: how many tokens, with which block keys. And each replica an answer to it:
//! what it holds of them, and its load. Router and picker ask alike; who may be asked, and what else a
//! request wants, is theirs to say.
#![forbid(unsafe_code)]

mod keys;
mod local;
mod trust;
mod weigh;

pub use keys::{Keys, Made, block_sizes, text_keys, token_keys};
pub use local::tokens;
pub use trust::{Checks, LOOK_EVERY, PATIENCE, Trust, TrustedAs};
pub use weigh::{Known, load};

use onefill_fleet::{Replica, Status};
use onefill_kv::{KeySeed, Knowledge};
use onefill_prompt::Asked;
use onefill_schedule::Ask;
use std::{sync::Arc, time::Duration};

/// Tokens a block where no replica tells: vLLM's default.
const BLOCK_TOKENS: u32 = 16;
/// Bytes of JSON a token, where nothing better is known: English text has four to five.
const BYTES_A_TOKEN: usize = 4;

/// What a request asks of the fleet.
#[derive(Clone, Debug)]
pub struct Question {
    /// For the scheduler; its chain is that of the first keys.
    pub ask: Ask,
    keys: Made,
    /// Whether the keys were made from the engine's own tokens.
    exact: bool,
}

impl Question {
    /// What a body of so many bytes asks, with its keys: once for each block size of the fleet, or none.
    pub fn new(asked: &Asked<'_>, body_bytes: usize, seed: KeySeed, keys: Made) -> Self {
        let session = asked.session.as_deref();
        let guessed = u32::try_from(body_bytes / BYTES_A_TOKEN).unwrap_or(u32::MAX);
        let first = keys.first();
        let ask = Ask {
            prompt_tokens: first.map_or(guessed, |keys| keys.keyed.prompt_tokens),
            chain: first.map_or_else(|| Arc::from([]), |keys| Arc::clone(&keys.keyed.chain)),
            block_tokens: first.map_or(BLOCK_TOKENS, |keys| keys.block_tokens),
            output_tokens_max: asked.output_tokens_max,
            session: session.map(|name| seed.content_of_bytes(name.as_bytes()).0),
        };
        Self {
            ask,
            exact: first.is_some_and(|keys| keys.keyed.exact),
            keys,
        }
    }

    /// Keys of the first block size; `None` where the prompt has none.
    pub fn first_keys(&self) -> Option<&Keys> {
        self.keys.first()
    }

    /// The keys that fit a replica's block size.
    pub fn keys_of(&self, status: &Status) -> Option<&Keys> {
        match status.block_tokens {
            None => self.keys.first(),
            Some(size) => self.keys.iter().find(|keys| keys.block_tokens == size),
        }
    }

    /// Whether what a replica reports as cached can be compared with what was expected.
    pub fn comparable(&self, knowledge: Knowledge) -> bool {
        self.exact && knowledge == Knowledge::Exact
    }

    /// The replica has computed the prompt; `now` is the clock of [`Known::now`].
    pub fn remember(&self, replica: &Replica, now: Duration) {
        if let Some(keys) = self.keys_of(&replica.status()) {
            replica.history().lock().touch(&keys.keyed.chain, now);
        }
    }
}
