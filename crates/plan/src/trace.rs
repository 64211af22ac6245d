//! A trace: who asked what, and when. Prompts are chains of block numbers, never text.

mod azure;
mod claude;
mod format;
mod mooncake;
mod names;
mod openai;
mod record;

pub use azure::{AzureOptions, azure};
pub use claude::{ClaudeOptions, claude};
pub use format::{Format, FormatOptions, read};
pub use mooncake::mooncake;
pub use names::Names;
pub use openai::openai;
pub use record::{Recorded, recorded};

use std::time::Duration;

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// When it arrives, where arrivals are open.
    pub at: Duration,
    /// Tokens of its prompt.
    pub prompt_tokens: u32,
    /// Tokens that are generated for it.
    pub output_tokens: u32,
    /// Its prompt's blocks, by number in [`Names`]. The last may be partial where the source says
    /// what partial blocks hold.
    pub blocks: Box<[u32]>,
    /// Further full blocks that its answer makes, as the session's next prompt will find them.
    pub answer: Box<[u32]>,
    /// What names its session.
    pub session: Option<u64>,
    /// The request whose answer it waits for, where arrivals are closed.
    pub after: Option<u32>,
}

impl Request {
    /// Tokens of its `blocks` leading blocks.
    #[must_use]
    pub fn tokens(&self, blocks: usize, block_tokens: u32) -> u64 {
        (blocks as u64 * u64::from(block_tokens)).min(u64::from(self.prompt_tokens))
    }
}

/// How requests come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrivals {
    /// At their times, whatever the fleet does.
    Open,
    /// In their order, so many at once; a turn waits for its session's answer.
    Closed {
        /// Requests in flight.
        in_flight: u32,
    },
}

/// Requests in order, and the names of their blocks.
#[derive(Clone, Debug)]
pub struct Trace {
    /// For people.
    pub name: String,
    /// Tokens a block.
    pub block_tokens: u32,
    /// How requests come.
    pub arrivals: Arrivals,
    /// In order of arrival.
    pub requests: Vec<Request>,
    /// Names of all blocks.
    pub names: Names,
}

impl Trace {
    /// Requests that come at their own times, put in that order.
    pub(crate) fn open(
        name: &str,
        block_tokens: u32,
        mut requests: Vec<Request>,
        names: Names,
    ) -> Result<Self, TraceError> {
        if requests.is_empty() {
            return Err(TraceError::Empty);
        }
        requests.sort_by_key(|request| request.at);
        Ok(Self {
            name: name.to_owned(),
            block_tokens,
            arrivals: Arrivals::Open,
            requests,
            names,
        })
    }

    /// Tokens of all prompts.
    #[must_use]
    pub fn prompt_tokens(&self) -> u64 {
        let tokens = self
            .requests
            .iter()
            .map(|each| u64::from(each.prompt_tokens));
        tokens.sum()
    }

    /// Blocks that a cache of `tokens` holds.
    #[must_use]
    pub fn blocks_of(&self, tokens: u64) -> usize {
        (tokens / u64::from(self.block_tokens.max(1))) as usize
    }

    /// The same requests with arrivals `factor` times as fast.
    #[must_use]
    pub fn hastened(mut self, factor: f64) -> Self {
        for request in &mut self.requests {
            request.at = request.at.div_f64(factor.max(1e-9));
        }
        self
    }
}

/// What is wrong with a trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// A line can't be read.
    #[error("line {line}: {why}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// The compressed file is damaged.
    #[error("the file is not good gzip")]
    Gzip(#[from] std::io::Error),
    /// Not text.
    #[error("the file is not UTF-8 from byte {0} on")]
    NotText(usize),
    /// Nothing in it.
    #[error("there is no request in it")]
    Empty,
    /// No format fits.
    #[error("the format is not known by the file's name or first line: give --format")]
    UnknownFormat,
}

impl TraceError {
    fn line(line: usize, why: impl std::fmt::Display) -> Self {
        Self::Line {
            line: line + 1,
            why: why.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
