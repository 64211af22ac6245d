//! Real coding-agent sessions, run-length packed: one JSON object a session, gzip over all.
//!
//! A request's blocks are `runs` of block numbers local to the session, 64 tokens each; sub-agents
//! share the session's numbers. The sessions were recorded alone, so a fleet's trace is made of
//! them: sessions start as a Poisson process, pauses within one are capped, and sessions with the
//! same model, tools and system prompt share that prefix.

use super::{Names, Request, Trace, TraceError};
use crate::random::Random;
use onefill_kv::mix;
use serde::Deserialize;
use std::time::Duration;

/// How sessions become a fleet's trace.
#[derive(Clone, Copy, Debug)]
pub struct ClaudeOptions {
    /// Mean time between two sessions' starts.
    pub gap_s: f64,
    /// Longest pause within a session.
    pub pause_max_s: f64,
    /// Requests from this time on are left out.
    pub until: Option<Duration>,
    /// Tokens a block; a multiple of the file's.
    pub block_tokens: u32,
    /// Seed of the starts.
    pub seed: u64,
}

impl Default for ClaudeOptions {
    fn default() -> Self {
        Self {
            gap_s: 20.0,
            pause_max_s: 1800.0,
            until: None,
            block_tokens: 256,
            seed: 1,
        }
    }
}

#[derive(Deserialize)]
struct Session {
    #[serde(default)]
    models: Vec<String>,
    block_size: u32,
    #[serde(default)]
    tool_tokens: u32,
    #[serde(default)]
    system_tokens: u32,
    requests: Vec<Entry>,
}

/// A request, or a sub-agent with requests of its own.
#[derive(Deserialize)]
struct Entry {
    t: f64,
    #[serde(default)]
    model: String,
    #[serde(default, rename = "in")]
    prompt_tokens: u32,
    #[serde(default, rename = "out")]
    output_tokens: u32,
    #[serde(default)]
    runs: Vec<(u64, u64)>,
    #[serde(default)]
    models: Vec<String>,
    #[serde(default)]
    tool_tokens: u32,
    #[serde(default)]
    system_tokens: u32,
    #[serde(default)]
    requests: Vec<Entry>,
}

/// One request of a session, with what its prefix is shared by.
struct Turn<'a> {
    t: f64,
    entry: &'a Entry,
    /// Hash of the model, the tools' and the system prompt's lengths.
    prefix: u64,
    prefix_tokens: u32,
    /// The session itself is 0, its sub-agents follow.
    agent: u64,
}

/// Reads the sessions, already unpacked.
pub fn claude(name: &str, text: &str, options: &ClaudeOptions) -> Result<Trace, TraceError> {
    let mut names = Names::default();
    let mut random = Random::new(options.seed);
    let mut requests = Vec::new();
    let mut start_s = 0.0;
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let session: Session =
            serde_json::from_str(line).map_err(|error| TraceError::line(number, error))?;
        start_s += random.exponential(options.gap_s);
        let mut turns = turns(&session);
        cap_pauses(&mut turns, options.pause_max_s);
        for turn in turns {
            let at = Duration::from_secs_f64(start_s + turn.t);
            if options.until.is_some_and(|until| at >= until) || turn.entry.prompt_tokens == 0 {
                continue;
            }
            requests.push(Request {
                at,
                prompt_tokens: turn.entry.prompt_tokens,
                output_tokens: turn.entry.output_tokens,
                blocks: names.chain(contents(&turn, number, session.block_size, options)),
                answer: Box::default(),
                session: Some(mix(mix(number as u64) ^ turn.agent)),
                after: None,
            });
        }
    }
    Trace::open(name, options.block_tokens, requests, names)
}

fn turns(session: &Session) -> Vec<Turn<'_>> {
    let mut turns = Vec::new();
    let of = |models: &[String], entry: &Entry, tools: u32, system: u32| {
        let model = match entry.model.as_str() {
            "" => models.first().map_or("", String::as_str),
            named => named,
        };
        let named = model
            .bytes()
            .fold(7, |hash, byte| mix(hash ^ u64::from(byte)));
        mix(mix(named ^ u64::from(tools)) ^ u64::from(system))
    };
    let mut agent = 0;
    for entry in &session.requests {
        if entry.requests.is_empty() {
            let (tools, system) = (session.tool_tokens, session.system_tokens);
            turns.push(Turn {
                t: entry.t,
                entry,
                prefix: of(&session.models, entry, tools, system),
                prefix_tokens: tools + system,
                agent: 0,
            });
            continue;
        }
        agent += 1;
        for inner in &entry.requests {
            let (tools, system) = (entry.tool_tokens, entry.system_tokens);
            turns.push(Turn {
                t: entry.t + inner.t,
                entry: inner,
                prefix: of(&entry.models, inner, tools, system),
                prefix_tokens: tools + system,
                agent,
            });
        }
    }
    turns.sort_by(|a, b| a.t.total_cmp(&b.t));
    turns
}

/// Shortens the pauses between a session's requests.
fn cap_pauses(turns: &mut [Turn<'_>], most_s: f64) {
    let (mut before, mut cut) = (0.0, 0.0);
    for turn in turns {
        let pause: f64 = turn.t - before;
        cut += (pause - most_s).max(0.0);
        before = turn.t;
        turn.t -= cut;
    }
}

/// Contents of a prompt's blocks, regrouped to the trace's block size.
fn contents(turn: &Turn<'_>, number: usize, small: u32, options: &ClaudeOptions) -> Vec<u64> {
    let each = (options.block_tokens / small.max(1)).max(1) as usize;
    let own = mix(number as u64 + (1 << 40));
    let ids = turn
        .entry
        .runs
        .iter()
        .flat_map(|(first, count)| *first..first + count);
    let shared = (turn.prefix_tokens / options.block_tokens.max(1)) as usize;
    let mut found = Vec::new();
    // What is left over fills no block: engines keep full ones only.
    let (mut hash, mut in_block) = (own, 0);
    for id in ids {
        hash = mix(hash ^ id);
        in_block += 1;
        if in_block == each {
            found.push(hash);
            (hash, in_block) = (own, 0);
        }
    }
    for (block, content) in found.iter_mut().enumerate().take(shared) {
        *content = mix(turn.prefix ^ block as u64);
    }
    found
}
