//! Mooncake's traces: one JSON object a line, `hash_ids` of 512-token blocks, chained by prefix.

use super::{Names, Request, Trace, TraceError};
use onefill_kv::mix;
use serde::Deserialize;
use std::time::Duration;

const BLOCK_TOKENS: u32 = 512;

#[derive(Deserialize)]
struct Line {
    timestamp: u64,
    input_length: u32,
    output_length: u32,
    hash_ids: Vec<u64>,
}

/// Reads a trace.
pub fn mooncake(name: &str, text: &str) -> Result<Trace, TraceError> {
    let mut names = Names::default();
    let mut requests = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_str(line).map_err(|e| TraceError::line(number, e))?;
        requests.push(Request {
            at: Duration::from_millis(line.timestamp),
            prompt_tokens: line.input_length,
            output_tokens: line.output_length,
            blocks: names.chain(line.hash_ids.into_iter().map(mix)),
            answer: Box::default(),
            session: None,
            after: None,
        });
    }
    Trace::open(name, BLOCK_TOKENS, requests, names)
}
