//! Workloads made up from a seed: chat, RAG, agent, batch, and the small fleet's closed loop.

mod agent;
mod batch;
mod chat;
mod rag;
mod small_fleet;
mod text;

use crate::trace::{Arrivals, Names, Request, Trace};
use std::time::Duration;
pub use text::Text;

/// What kind of traffic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Conversations that grow turn by turn behind a few system prompts.
    Chat,
    /// Questions about documents, some asked about more than others.
    Rag,
    /// Tool-using sessions: one long shared prefix, many short steps.
    Agent,
    /// Jobs that come all at once and share an instruction.
    Batch,
    /// Requests that share nothing.
    Unrelated,
    /// Two small replicas' worth of chats, documents and unrelated requests, four at once.
    SmallFleet,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::Chat,
        Self::Rag,
        Self::Agent,
        Self::Batch,
        Self::Unrelated,
        Self::SmallFleet,
    ];

    /// The name used in flags.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Rag => "rag",
            Self::Agent => "agent",
            Self::Batch => "batch",
            Self::Unrelated => "unrelated",
            Self::SmallFleet => "small-fleet",
        }
    }
}

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Volume {
    /// Requests, about.
    pub requests: usize,
    /// Requests a second, where arrivals are open.
    pub per_s: f64,
    /// Tokens a block.
    pub block_tokens: u32,
    /// Seed.
    pub seed: u64,
}

impl Default for Volume {
    fn default() -> Self {
        Self {
            requests: 10_000,
            per_s: 20.0,
            block_tokens: 64,
            seed: 1,
        }
    }
}

/// Makes a trace.
#[must_use]
pub fn generate(kind: Kind, volume: &Volume) -> Trace {
    let mut maker = Maker::new(volume);
    match kind {
        Kind::Chat => chat::make(&mut maker, volume),
        Kind::Rag => rag::make(&mut maker, volume),
        Kind::Agent => agent::make(&mut maker, volume),
        Kind::Batch => batch::make(&mut maker, volume),
        Kind::Unrelated => rag::unrelated(&mut maker, volume),
        Kind::SmallFleet => return small_fleet::make(volume.seed),
    }
    maker.finish(kind.name(), Arrivals::Open)
}

/// Requests as they are being made.
struct Maker {
    names: Names,
    requests: Vec<Request>,
    block_tokens: u32,
    /// Texts made so far: each has a number of its own.
    texts: u64,
    seed: u64,
}

impl Maker {
    fn new(volume: &Volume) -> Self {
        Self {
            names: Names::default(),
            requests: Vec::new(),
            block_tokens: volume.block_tokens,
            texts: 0,
            seed: volume.seed,
        }
    }

    /// A text like no other.
    fn text(&mut self, tokens: u32) -> Text {
        self.texts += 1;
        Text::new(onefill_kv::mix(self.seed ^ (self.texts << 20)), tokens)
    }

    /// One request; `answer` is what it generates.
    fn ask(&mut self, at_s: f64, prompt: &Text, answer: &Text, session: Option<u64>) -> u32 {
        let blocks = self.names.chain(prompt.contents(self.block_tokens));
        let both = self
            .names
            .chain(prompt.with(answer).contents(self.block_tokens));
        let request = Request {
            at: Duration::from_secs_f64(at_s),
            prompt_tokens: prompt.tokens(),
            output_tokens: answer.tokens(),
            answer: both.get(blocks.len()..).unwrap_or_default().into(),
            blocks,
            session,
            after: None,
        };
        self.requests.push(request);
        self.requests.len() as u32 - 1
    }

    fn finish(mut self, name: &str, arrivals: Arrivals) -> Trace {
        if arrivals == Arrivals::Open {
            self.requests.sort_by_key(|request| request.at);
        }
        Trace {
            name: name.to_owned(),
            block_tokens: self.block_tokens,
            arrivals,
            requests: self.requests,
            names: self.names,
        }
    }
}

#[cfg(test)]
mod tests;
