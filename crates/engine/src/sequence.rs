//! One prompt and its answer on the way through the scheduler.

use crate::{blocks::BlockId, config::Adapter};
use onefill_kv::{TokenId, engine_hash::Digest};
use std::sync::Arc;
use tokio::{sync::watch, time::Instant};

/// Why an answer ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Finish {
    /// It was at its end.
    Stop,
    /// No more tokens were allowed.
    Length,
}

impl Finish {
    /// OpenAI's word.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// What is to be computed. The answer is known beforehand: it is simulated.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Tokens of the prompt, then those of the answer.
    pub(crate) tokens: Vec<TokenId>,
    /// How many of them are the prompt's; one at least.
    pub(crate) prompt_tokens: usize,
    /// Names of all full blocks of `tokens`.
    pub(crate) digests: Vec<Digest>,
    /// Adapter.
    pub(crate) lora: Option<Arc<Adapter>>,
    /// Cache salt.
    pub(crate) salt: Option<String>,
    /// How the answer ends.
    pub(crate) finish: Finish,
}

/// How far a request has come, as its client may see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Progress {
    /// Tokens of the answer.
    pub(crate) generated: usize,
    /// Tokens of the prompt that were in the cache.
    pub(crate) cached_tokens: usize,
    /// Whether no more will come.
    pub(crate) over: bool,
}

/// A request in the scheduler.
#[derive(Debug)]
pub(crate) struct Sequence {
    pub(crate) id: u64,
    pub(crate) plan: Plan,
    pub(crate) arrived: Instant,
    /// Its blocks, first to last.
    pub(crate) blocks: Vec<BlockId>,
    /// Tokens whose keys and values are there.
    pub(crate) computed: usize,
    /// Tokens that this step computes.
    pub(crate) scheduled: usize,
    /// Blocks that have their names.
    pub(crate) named: usize,
    /// Tokens of the answer so far.
    pub(crate) generated: usize,
    /// Prompt tokens found in the cache when it was first admitted.
    pub(crate) cached_tokens: Option<usize>,
    /// Dropped without `over` when the process "restarts".
    pub(crate) progress: watch::Sender<Progress>,
}

impl Sequence {
    pub(crate) fn new(id: u64, plan: Plan, arrived: Instant) -> (Self, watch::Receiver<Progress>) {
        let (progress, seen) = watch::channel(Progress::default());
        let sequence = Self {
            id,
            plan,
            arrived,
            blocks: Vec::new(),
            computed: 0,
            scheduled: 0,
            named: 0,
            generated: 0,
            cached_tokens: None,
            progress,
        };
        (sequence, seen)
    }

    /// Tokens that exist: the prompt and the answer so far.
    pub(crate) fn known(&self) -> usize {
        self.plan.prompt_tokens + self.generated
    }

    /// Whether only the newest token of the answer is left to compute.
    pub(crate) fn decodes(&self) -> bool {
        self.generated > 0 && self.known() - self.computed == 1
    }

    /// Whether the answer is complete (or there is none and the prompt is computed).
    pub(crate) fn is_over(&self) -> bool {
        self.known() == self.plan.tokens.len() && self.computed >= self.plan.prompt_tokens
    }

    pub(crate) fn tell(&self, over: bool) {
        self.progress.send_replace(Progress {
            generated: self.generated,
            cached_tokens: self.cached_tokens.unwrap_or(0),
            over,
        });
    }
}
