//! One request, and reading it.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

/// Tokens that a recorded block has at least.
pub const BLOCK_TOKENS_MIN: u32 = 64;

/// How a request ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ended {
    /// Answered to the end.
    Done,
    /// The replica failed; if another one was tried, that is a request of its own here.
    Failed,
    /// The client left.
    Cancelled,
}

/// One request, as it is replayed.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// Arrival, in milliseconds since 1970.
    pub at_ms: u64,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens of the answer, where told.
    pub output_tokens: Option<u32>,
    /// Tokens a block of `chain`.
    pub block_tokens: u32,
    /// Names of the prompt's full blocks.
    pub chain: Vec<u64>,
    /// What names the session.
    pub session: Option<u64>,
    /// The replica's number.
    pub replica: u16,
    /// Tokens expected in its cache.
    pub overlap_tokens: u32,
    /// Tokens that it reported from there.
    pub cached_tokens: Option<u32>,
    /// Milliseconds that it was expected to wait.
    pub queue_ms: f64,
    /// Milliseconds to the first byte of the answer, if there was one.
    pub first_ms: Option<f64>,
    /// Milliseconds to its last.
    pub whole_ms: f64,
    /// Tokens that the replica's cache holds; 0: not known.
    pub capacity_tokens: u64,
    /// How it ended.
    pub ended: Ended,
}

/// The head of a file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) onefill_record: u32,
    pub(crate) policy: String,
}

/// The version that is written, and the only one that is read.
pub(crate) const VERSION: u32 = 1;

/// A line as it stands in a file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) t: u64,
    #[serde(rename = "in")]
    pub(crate) prompt: u32,
    #[serde(rename = "out", default, skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<u32>,
    pub(crate) b: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) p: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) k: String,
    pub(crate) n: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) s: Option<String>,
    pub(crate) r: u16,
    #[serde(default)]
    pub(crate) ov: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<u32>,
    #[serde(default)]
    pub(crate) q: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) f: Option<f64>,
    #[serde(default)]
    pub(crate) d: f64,
    #[serde(default)]
    pub(crate) cap: u64,
    pub(crate) e: String,
}

/// Why a line can't be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LineError {
    /// Not JSON of that form.
    #[error("not a line of a record: {0}")]
    Form(String),
    /// Of a later version.
    #[error("version {0} of the format: this program reads {VERSION}")]
    Version(u32),
    /// A name is not 16 hexadecimal digits.
    #[error("`{0}` is not the name of a block")]
    Name(String),
    /// It goes on after a block that the file did not name.
    #[error("it goes on after block {0}, which stands nowhere before")]
    Unknown(String),
}

/// Reads lines one after another: what a file has named need not be named again.
#[derive(Debug, Default)]
pub struct Reader {
    /// Each named block's place.
    places: HashMap<u64, u32>,
    /// Name and place before, of each block.
    blocks: Vec<(u64, u32)>,
}

/// Before a chain's first block.
const START: u32 = u32::MAX;

impl Reader {
    /// Whether `line` is the head of a record's file.
    #[must_use]
    pub fn is_head(line: &str) -> bool {
        line.starts_with("{\"onefill_record\"")
    }

    /// One line; `None` for a head, after which names count anew.
    pub fn line(&mut self, line: &str) -> Result<Option<Entry>, LineError> {
        let form = |error: serde_json::Error| LineError::Form(error.to_string());
        if Self::is_head(line) {
            let head: Head = serde_json::from_str(line).map_err(form)?;
            *self = Self::default();
            return match head.onefill_record {
                VERSION => Ok(None),
                other => Err(LineError::Version(other)),
            };
        }
        let line: Line = serde_json::from_str(line).map_err(form)?;
        let chain = self.chain(&line)?;
        let ended = serde_json::from_value(line.e.as_str().into()).map_err(form)?;
        Ok(Some(Entry {
            at_ms: line.t,
            prompt_tokens: line.prompt,
            output_tokens: line.output,
            block_tokens: line.b.max(1),
            chain,
            session: line.s.as_deref().map(name).transpose()?,
            replica: line.r,
            overlap_tokens: line.ov,
            cached_tokens: line.ca,
            queue_ms: line.q,
            first_ms: line.f,
            whole_ms: line.d,
            capacity_tokens: line.cap,
            ended,
        }))
    }

    fn chain(&mut self, line: &Line) -> Result<Vec<u64>, LineError> {
        let mut before = match &line.p {
            None => START,
            Some(text) => {
                let known = self.places.get(&name(text)?);
                *known.ok_or_else(|| LineError::Unknown(text.clone()))?
            }
        };
        let mut chain = Vec::new();
        let mut at = before;
        while let Some((name, earlier)) = self.blocks.get(at as usize) {
            chain.push(*name);
            at = *earlier;
        }
        chain.reverse();
        let digits = line.k.as_bytes().chunks(16);
        for new in digits {
            let text = std::str::from_utf8(new).map_err(|_| LineError::Name(line.k.clone()))?;
            let new = name(text)?;
            let place = self.blocks.len() as u32; // a file has fewer lines than that
            self.blocks.push((new, before));
            self.places.insert(new, place);
            before = place;
            chain.push(new);
        }
        Ok(chain)
    }
}

fn name(text: &str) -> Result<u64, LineError> {
    let wrong = || LineError::Name(text.to_owned());
    if text.len() != 16 {
        return Err(wrong());
    }
    u64::from_str_radix(text, 16).map_err(|_| wrong())
}
