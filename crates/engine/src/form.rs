//! The shapes in which answers are written: one for each door, whole or as a stream of
//! server-sent events. Words of the vocabulary need no escapes, so text is put in as it is.

mod chat;
mod completions;
mod embeddings;
mod messages;
mod responses;

use crate::sequence::Finish;
use onefill_kv::TokenId;
use onefill_prompt::Door;

/// What all pieces of an answer begin with.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) id: String,
    /// Unix seconds.
    pub(crate) created_s: u64,
    /// Quoted, with escapes.
    pub(crate) model: String,
}

/// The answer to one prompt, at its end.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) index: usize,
    /// Empty in streams, where it has been written already.
    pub(crate) text: String,
    pub(crate) finish: Finish,
    pub(crate) prompt_tokens: usize,
    pub(crate) cached_tokens: usize,
    pub(crate) generated: usize,
    /// Of prompt and answer, where they were asked for.
    pub(crate) token_ids: Option<(Vec<TokenId>, Vec<TokenId>)>,
}

/// Tokens of all parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) prompt: usize,
    pub(crate) cached: usize,
    pub(crate) generated: usize,
}

impl Usage {
    pub(crate) fn of(parts: &[Part]) -> Self {
        parts.iter().fold(Self::default(), |sum, part| Self {
            prompt: sum.prompt + part.prompt_tokens,
            cached: sum.cached + part.cached_tokens,
            generated: sum.generated + part.generated,
        })
    }

    /// The object of chats and completions.
    fn json(self) -> String {
        let Self {
            prompt,
            cached,
            generated,
        } = self;
        let total = prompt + generated;
        format!(
            "{{\"prompt_tokens\":{prompt},\"total_tokens\":{total},\"completion_tokens\":{generated},\
             \"prompt_tokens_details\":{{\"cached_tokens\":{cached}}}}}"
        )
    }
}

/// A door's shapes. Each function appends to `out`.
pub(crate) trait Form: Send + Sync + std::fmt::Debug {
    /// How ids of its answers begin.
    fn id_prefix(&self) -> &'static str;
    /// The whole answer, where none is streamed.
    fn whole(&self, head: &Head, parts: &[Part], out: &mut String);
    /// What comes before the first token of a part's stream.
    fn begin(&self, head: &Head, part: &Part, out: &mut String);
    /// One token.
    fn token(&self, head: &Head, index: usize, text: &str, out: &mut String);
    /// What comes after the last token of a part.
    fn end(&self, head: &Head, part: &Part, out: &mut String);
    /// The stream's end.
    fn close(&self, head: &Head, parts: &[Part], with_usage: bool, out: &mut String);
}

/// The shapes of a door.
pub(crate) fn of(door: Door) -> &'static dyn Form {
    match door {
        Door::Chat | Door::Other => &chat::Chat,
        Door::Completions => &completions::Completions,
        Door::Responses => &responses::Responses,
        Door::Messages => &messages::Messages,
        Door::Embeddings => &embeddings::Embeddings,
    }
}

/// A last event with the usage where it was asked for, and the end of an `OpenAI` stream.
fn close_openai(start: &str, parts: &[Part], with_usage: bool, out: &mut String) {
    if with_usage {
        out.push_str("data: ");
        out.push_str(start);
        out.push_str("\"choices\":[],\"usage\":");
        out.push_str(&Usage::of(parts).json());
        out.push_str("}\n\n");
    }
    out.push_str("data: [DONE]\n\n");
}

#[cfg(test)]
mod tests;
