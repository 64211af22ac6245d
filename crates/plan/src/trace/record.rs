//! A router's own record: names of blocks, times, picks, outcomes.

use super::{Names, Request, Trace, TraceError};
use hashbrown::HashMap;
use onefill_record::{Ended, Entry, Reader};
use std::time::Duration;

/// A record as a trace, and what came of each request.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The requests.
    pub trace: Trace,
    /// What the record says of each, in the same order.
    pub entries: Vec<Entry>,
    /// The policy that picked, by its name.
    pub policy: String,
    /// Requests that are left out: they failed and were sent again, or their replicas have blocks
    /// of another size than most.
    pub left_out: usize,
}

/// Reads a record's files, one after another.
pub fn recorded(name: &str, text: &str) -> Result<Recorded, TraceError> {
    let mut reader = Reader::default();
    let mut entries = Vec::new();
    let mut policy = String::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        if Reader::is_head(line) {
            policy = policy_of(line).unwrap_or(policy);
        }
        let read = reader.line(line);
        entries.extend(read.map_err(|error| TraceError::line(number, error))?);
    }
    let all = entries.len();
    let block_tokens = usual_block(&entries);
    entries.retain(|entry| entry.ended != Ended::Failed && entry.block_tokens == block_tokens);
    entries.sort_by_key(|entry| entry.at_ms);
    let start_ms = entries.first().map_or(0, |entry| entry.at_ms);
    let mut names = Names::default();
    let requests = entries.iter().map(|entry| Request {
        at: Duration::from_millis(entry.at_ms - start_ms),
        prompt_tokens: entry.prompt_tokens,
        output_tokens: entry.output_tokens.unwrap_or(1),
        // Each name stands for all before it, so it serves as the block's content.
        blocks: names.chain(entry.chain.iter().copied()),
        answer: Box::default(),
        session: entry.session,
        after: None,
    });
    let requests: Vec<Request> = requests.collect();
    Ok(Recorded {
        trace: Trace::open(name, block_tokens, requests, names)?,
        left_out: all - entries.len(),
        entries,
        policy,
    })
}

fn policy_of(head: &str) -> Option<String> {
    let head: serde_json::Value = serde_json::from_str(head).ok()?;
    Some(head.get("policy")?.as_str()?.to_owned())
}

fn usual_block(entries: &[Entry]) -> u32 {
    let mut counts: HashMap<u32, usize> = HashMap::new();
    for entry in entries {
        *counts.entry(entry.block_tokens).or_default() += 1;
    }
    let usual = counts
        .into_iter()
        .max_by_key(|(size, count)| (*count, *size));
    usual.map_or(1, |(size, _)| size)
}
