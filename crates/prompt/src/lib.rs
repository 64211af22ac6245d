//! Request body to model, tokens, cache salt and `LoRA`, and on to the chain of block keys.
//! Pure: no IO but reading a tokenizer's folder.
#![forbid(unsafe_code)]

use onefill_kv::{BlockKey, KeySeed, TokenId};
use std::{borrow::Cow, path::Path, sync::Arc};

/// What kind of body a path takes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Door {
    /// `/v1/chat/completions`
    Chat,
    /// `/v1/completions`
    Completions,
    /// `/v1/responses`
    Responses,
    /// `/v1/messages`
    Messages,
    /// `/v1/embeddings` and other pooling paths
    Embeddings,
    /// Anything else: passed on, routed by load.
    Other,
}

impl Door {
    /// The door of a path (without query).
    pub fn of(path: &str) -> Self {
        match path {
            "/v1/chat/completions" => Self::Chat,
            "/v1/completions" => Self::Completions,
            "/v1/responses" => Self::Responses,
            "/v1/messages" => Self::Messages,
            "/v1/embeddings" => Self::Embeddings,
            _ => Self::Other,
        }
    }
}

/// What a body asks for. Borrows from the body, which is never rebuilt.
#[derive(Debug, Default)]
pub struct Asked<'a> {
    /// "model".
    pub model: Option<Cow<'a, str>>,
    /// "`cache_salt`".
    pub cache_salt: Option<Cow<'a, str>>,
    /// What names the session: "`session_id`" or "user".
    pub session: Option<Cow<'a, str>>,
    /// "stream".
    pub stream: bool,
    /// "`max_tokens`", "`max_completion_tokens`" or "`max_output_tokens`".
    pub output_tokens_max: Option<u32>,
    /// Images, audio or video are in the prompt: its tokens are only known to the replica.
    pub multimodal: bool,
    /// The prompt.
    pub input: Input<'a>,
}

/// A prompt as it came.
#[derive(Debug, Default)]
pub enum Input<'a> {
    /// Raw JSON of the body, to be rendered by a chat template.
    Chat(&'a [u8]),
    /// One or more texts.
    Text(Vec<Cow<'a, str>>),
    /// One or more lists of token ids.
    Tokens(Vec<Vec<TokenId>>),
    /// Nothing that can be read.
    #[default]
    None,
}

/// A body that can't be read: 400 in the client's language.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{reason} at byte {offset} of the body")]
pub struct BodyError {
    /// Byte of the body.
    pub offset: usize,
    /// What is wrong, and what was expected.
    pub reason: String,
}

/// Scans a body once, without building it anew.
pub fn scan(door: Door, body: &[u8]) -> Result<Asked<'_>, BodyError> {
    let _ = (door, body);
    Ok(Asked::default())
}

/// A prompt that can be looked up.
#[derive(Clone, Debug)]
pub struct Keyed {
    /// Its tokens, all of them (an estimate where [`Keyed::exact`] is false).
    pub prompt_tokens: u32,
    /// Keys of its full blocks.
    pub chain: Arc<[BlockKey]>,
    /// Whether the chain was made from the engine's own tokens. Otherwise it is a chain over the
    /// text, comparable only with chains made the same way.
    pub exact: bool,
}

/// Where a prompt's chain starts and how its blocks are cut.
#[derive(Clone, Copy, Debug)]
pub struct Namespace<'a> {
    /// Secret of the deployment.
    pub seed: KeySeed,
    /// Tokens a block.
    pub block_tokens: usize,
    /// Adapter that the request names.
    pub lora: Option<&'a str>,
    /// Its cache salt.
    pub salt: Option<&'a str>,
}

/// Turns one model's prompts into tokens and keys, remembering prefixes that it has seen.
pub struct Prompter {}

impl std::fmt::Debug for Prompter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prompter").finish_non_exhaustive()
    }
}

/// A tokenizer folder that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("tokenizer folder {folder}: {reason}")]
pub struct LoadError {
    /// The folder.
    pub folder: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A prompt that can't be turned into tokens here (the replica may still take it).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct PromptError(pub String);

impl Prompter {
    /// From a folder with `tokenizer.json`, and for chats `tokenizer_config.json` or
    /// `chat_template.jinja`.
    pub fn load(folder: &Path) -> Result<Self, LoadError> {
        let _ = folder;
        Ok(Self {})
    }

    /// The tokenizer of simulated engines: a token for each word piece of up to four bytes, and a
    /// `ChatML` template.
    pub fn simulated() -> Self {
        Self {}
    }

    /// All tokens of a prompt (of the first, where the body has several), as the engine makes them.
    pub fn tokens(&self, asked: &Asked<'_>) -> Result<Arc<[TokenId]>, PromptError> {
        let _ = asked;
        Err(PromptError("stub".into()))
    }

    /// Keys of a prompt. A prefix seen before costs only its comparison.
    pub fn keys(&self, asked: &Asked<'_>, space: Namespace<'_>) -> Result<Keyed, PromptError> {
        let _ = (asked, space);
        Err(PromptError("stub".into()))
    }
}

/// Keys over the text of the prompt, where there is no tokenizer: blocks of
/// `4 * block_tokens` bytes.
pub fn text_keys(asked: &Asked<'_>, space: Namespace<'_>) -> Keyed {
    let _ = (asked, space);
    Keyed { prompt_tokens: 0, chain: Arc::from([]), exact: false }
}

/// Keys of tokens that came from elsewhere (a replica's `/tokenize`).
pub fn token_keys(tokens: &[TokenId], space: Namespace<'_>) -> Keyed {
    let mut chain = Vec::with_capacity(tokens.len() / space.block_tokens.max(1));
    let root = space.seed.root(space.lora, space.salt);
    space.seed.extend_chain(root, tokens, space.block_tokens, &mut chain);
    let prompt_tokens = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
    Keyed { prompt_tokens, chain: chain.into(), exact: true }
}

/// Asking a replica for the tokens of a prompt: what to send, and how to read the answer.
pub mod remote {
    use super::{Asked, PromptError, TokenId};

    /// A request to a replica.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub struct TokenRequest {
        /// Path to post to: `/tokenize` or `/v1/chat/completions/render`.
        pub path: &'static str,
        /// JSON body.
        pub body: Vec<u8>,
    }

    /// The request that makes a replica tokenize this prompt; `None` if there is nothing to ask
    /// (token ids, no prompt).
    pub fn request(asked: &Asked<'_>) -> Option<TokenRequest> {
        let _ = asked;
        None
    }

    /// Reads the answer.
    pub fn read(path: &str, answer: &[u8]) -> Result<Vec<TokenId>, PromptError> {
        let _ = (path, answer);
        Err(PromptError("stub".into()))
    }
}
