//! Request body to model, tokens, cache salt and `LoRA`, and on to the chain of block keys.
//! Pure: no IO but reading a tokenizer's folder.
#![forbid(unsafe_code)]

mod conversation;
mod dialect;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod load;
pub mod remote;
mod scan;
mod template;
mod tokens;
mod words;

use onefill_kv::{BlockKey, KeySeed, TokenId};
pub use scan::scan;
use std::{
    borrow::Cow,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};
use template::{SpecialTokens, Template};
use tokens::Tokens;
pub use tokens::simulated_word;

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
    /// "`add_special_tokens`", true by default; concerns completions.
    pub special_tokens: bool,
    /// The prompt.
    pub input: Input<'a>,
}

/// A conversation as raw JSON of the body.
#[derive(Clone, Debug)]
pub struct Chat<'a> {
    /// Which API's shapes it has.
    pub door: Door,
    /// "messages", or "input" of `/v1/responses`.
    pub messages: &'a str,
    /// "system" of `/v1/messages`, "instructions" of `/v1/responses`.
    pub system: Option<&'a str>,
    /// "tools".
    pub tools: Option<&'a str>,
    /// "documents".
    pub documents: Option<&'a str>,
    /// "`chat_template`": a template of the request's own.
    pub template: Option<Cow<'a, str>>,
    /// "`chat_template_kwargs`".
    pub template_kwargs: Option<&'a str>,
    /// "`reasoning_effort`", which templates are told of.
    pub reasoning_effort: Option<&'a str>,
    /// "`add_generation_prompt`", true by default.
    pub add_generation_prompt: bool,
    /// "`continue_final_message`".
    pub continue_final_message: bool,
    /// Whether an earlier answer, kept by the replica, is part of it.
    pub refers_back: bool,
}

/// A prompt as it came.
#[derive(Debug, Default)]
pub enum Input<'a> {
    /// A conversation, to be rendered by a chat template.
    Chat(Chat<'a>),
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

/// Turns one model's prompts into tokens and keys, remembering what it has seen.
pub struct Prompter {
    /// The same vocabulary, split as the folder says and as engines are known to split it.
    dialects: Vec<Tokens>,
    /// The one in use.
    spoken: AtomicUsize,
    template: Option<Template>,
}

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

/// The template of simulated engines.
const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n\
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

impl Prompter {
    /// From a folder with `tokenizer.json`, and for chats `tokenizer_config.json` or
    /// `chat_template.jinja`.
    pub fn load(folder: &Path) -> Result<Self, LoadError> {
        load::load(folder)
    }

    /// The tokenizer of simulated engines: a token for each word piece of up to four bytes, and a
    /// `ChatML` template.
    pub fn simulated() -> Self {
        let template = Template::new(CHATML, SpecialTokens::new()).ok();
        Self::new(vec![Tokens::simulated()], template)
    }

    pub(crate) fn new(dialects: Vec<Tokens>, template: Option<Template>) -> Self {
        Self {
            dialects,
            spoken: AtomicUsize::new(0),
            template,
        }
    }

    /// All tokens of a prompt (of the first, where the body has several), as the engine makes them.
    pub fn tokens(&self, asked: &Asked<'_>) -> Result<Arc<[TokenId]>, PromptError> {
        self.tokens_in(self.spoken.load(Relaxed), asked)
    }

    /// In how many ways this tokenizer may split text: at least one. Which of them an engine
    /// uses depends on its libraries' versions, and only its own tokens tell.
    pub fn dialects(&self) -> usize {
        self.dialects.len()
    }

    /// From now on prompts are split in this way.
    pub fn speak(&self, dialect: usize) {
        self.spoken.store(dialect, Relaxed);
    }

    /// [`Prompter::tokens`] in a certain dialect, counted from 0.
    pub fn tokens_in(
        &self,
        dialect: usize,
        asked: &Asked<'_>,
    ) -> Result<Arc<[TokenId]>, PromptError> {
        let tokens = self
            .dialects
            .get(dialect)
            .ok_or_else(|| PromptError("no such dialect".into()))?;
        match &asked.input {
            Input::Tokens(lists) => Ok(lists.first().map(Vec::as_slice).unwrap_or_default().into()),
            Input::Text(texts) => {
                let text = texts.first().map_or("", AsRef::as_ref);
                Ok(tokens.encode(text, asked.special_tokens)?.into())
            }
            Input::Chat(_) if asked.multimodal => Err(PromptError(
                "only the replica turns images and sound into tokens".into(),
            )),
            Input::Chat(chat) => Ok(tokens.encode(&self.render(chat)?, false)?.into()),
            Input::None => Err(PromptError("the body has no prompt".into())),
        }
    }

    /// The text of a chat, as the template renders it.
    pub fn render(&self, chat: &Chat<'_>) -> Result<String, PromptError> {
        let template = self.template.as_ref();
        let template =
            template.ok_or_else(|| PromptError("the model has no chat template".into()))?;
        let conversation = conversation::conversation(chat, template)?;
        let rendered = match (chat.continue_final_message, chat.add_generation_prompt) {
            (false, _) => template.render(&conversation),
            (true, false) => template.render_continued(conversation),
            (true, true) => {
                return Err(PromptError(
                    "a message is continued without a generation prompt only".into(),
                ));
            }
        };
        rendered.map_err(|error| PromptError(format!("chat template: {error}")))
    }

    /// Keys of a prompt. Segments seen before cost only their hash.
    pub fn keys(&self, asked: &Asked<'_>, space: Namespace<'_>) -> Result<Keyed, PromptError> {
        let mut keyed = token_keys(&self.tokens(asked)?, space);
        if let Input::Tokens(lists) = &asked.input {
            let all: usize = lists.iter().map(Vec::len).sum();
            keyed.prompt_tokens = u32::try_from(all).unwrap_or(u32::MAX);
        }
        Ok(keyed)
    }
}

/// Bytes of text that make about one token.
const BYTES_PER_TOKEN: usize = 4;

/// Keys over the text of the prompt, where there is no tokenizer: blocks of
/// `4 * block_tokens` bytes.
pub fn text_keys(asked: &Asked<'_>, space: Namespace<'_>) -> Keyed {
    let text: &str = match &asked.input {
        // The closing bracket would part a chat from its next turn.
        Input::Chat(chat) => chat
            .messages
            .trim_end()
            .strip_suffix(']')
            .unwrap_or(chat.messages),
        Input::Text(texts) => texts.first().map_or("", AsRef::as_ref),
        Input::Tokens(lists) => {
            return token_keys(lists.first().map(Vec::as_slice).unwrap_or_default(), space);
        }
        Input::None => "",
    };
    let mut key = space.seed.root(space.lora, space.salt);
    let blocks = text
        .as_bytes()
        .chunks_exact(BYTES_PER_TOKEN * space.block_tokens.max(1));
    let extend = |block: &[u8]| {
        key = key.extend(space.seed.content_of_bytes(block));
        key
    };
    let chain: Vec<BlockKey> = blocks.map(extend).collect();
    let prompt_tokens = u32::try_from(text.len().div_ceil(BYTES_PER_TOKEN)).unwrap_or(u32::MAX);
    Keyed {
        prompt_tokens,
        chain: chain.into(),
        exact: false,
    }
}

/// Keys of tokens that came from elsewhere (a replica's `/tokenize`).
pub fn token_keys(tokens: &[TokenId], space: Namespace<'_>) -> Keyed {
    let mut chain = Vec::with_capacity(tokens.len() / space.block_tokens.max(1));
    let root = space.seed.root(space.lora, space.salt);
    space
        .seed
        .extend_chain(root, tokens, space.block_tokens, &mut chain);
    let prompt_tokens = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
    Keyed {
        prompt_tokens,
        chain: chain.into(),
        exact: true,
    }
}
