//! Azure's traces: times and lengths, nothing about content. Every prompt is its own.

use super::{Names, Request, Trace, TraceError};
use crate::random::Random;
use onefill_kv::mix;
use std::time::Duration;

/// How content is made up, since there is none.
#[derive(Clone, Copy, Debug)]
pub struct AzureOptions {
    /// Tokens a block.
    pub block_tokens: u32,
    /// Share of each prompt's tokens, from 0 to 1, that it has from one of `documents`.
    pub shared: f64,
    /// Documents, asked for by Zipf's law.
    pub documents: usize,
    /// Seed of which document each asks for.
    pub seed: u64,
}

impl Default for AzureOptions {
    fn default() -> Self {
        Self {
            block_tokens: 64,
            shared: 0.0,
            documents: 100,
            seed: 1,
        }
    }
}

/// Reads `TIMESTAMP,ContextTokens,GeneratedTokens`.
pub fn azure(name: &str, text: &str, options: &AzureOptions) -> Result<Trace, TraceError> {
    let mut names = Names::default();
    let mut random = Random::new(options.seed);
    let mut requests = Vec::new();
    let mut start = None;
    for (number, line) in text.lines().enumerate().skip(1) {
        if line.trim().is_empty() {
            continue;
        }
        let (at_s, prompt_tokens, output_tokens) =
            row(line).ok_or_else(|| TraceError::line(number, "not a time and two numbers"))?;
        let start: f64 = *start.get_or_insert(at_s);
        let document = random.zipf(options.documents, 1.0) as u64;
        let blocks = u64::from(prompt_tokens / options.block_tokens.max(1));
        let shared = (blocks as f64 * options.shared) as u64;
        let content = |block: u64| match block < shared {
            true => mix(mix(document) ^ block),
            false => mix(mix(number as u64 + (1 << 40)) ^ block),
        };
        requests.push(Request {
            at: Duration::from_secs_f64((at_s - start).max(0.0)),
            prompt_tokens,
            output_tokens,
            blocks: names.chain((0..blocks).map(content)),
            answer: Box::default(),
            session: None,
            after: None,
        });
    }
    Trace::open(name, options.block_tokens, requests, names)
}

fn row(line: &str) -> Option<(f64, u32, u32)> {
    let mut fields = line.trim().split(',');
    let (time, prompt, output) = (fields.next()?, fields.next()?, fields.next()?);
    Some((seconds(time)?, prompt.parse().ok()?, output.parse().ok()?))
}

/// Seconds of `2023-11-16 18:17:03.9799600` since some day; good for differences within a month.
fn seconds(time: &str) -> Option<f64> {
    let (date, clock) = time.split_once(' ')?;
    let day: f64 = date.rsplit('-').next()?.parse().ok()?;
    let mut parts = clock.splitn(3, ':').map(str::parse::<f64>);
    let mut next = || parts.next().and_then(Result::ok);
    let (hours, minutes, seconds) = (next()?, next()?, next()?);
    Some(((day * 24.0 + hours) * 60.0 + minutes) * 60.0 + seconds)
}
