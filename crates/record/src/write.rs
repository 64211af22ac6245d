//! Requests into lines. Pure: the caller has the file.

use crate::{
    entry::{BLOCK_TOKENS_MIN, Head, Line, VERSION},
    recorder::Observed,
};
use hashbrown::HashSet;
use onefill_kv::{GOLDEN, KeySeed, mix};
use std::fmt::Write as _;

/// Makes the lines of one file after another.
#[derive(Debug)]
pub struct Writer {
    salt: u64,
    policy: &'static str,
    /// Named in this file. Each name takes 16 bytes of it, so the file's bound is theirs.
    named: HashSet<u64>,
}

impl Writer {
    /// For a deployment's keys.
    #[must_use]
    pub fn new(seed: KeySeed, policy: &'static str) -> Self {
        Self {
            salt: mix(seed.0 ^ GOLDEN),
            policy,
            named: HashSet::new(),
        }
    }

    /// The head of a new file: names count anew.
    pub fn head(&mut self, text: &mut String) {
        self.named.clear();
        let head = Head {
            onefill_record: VERSION,
            policy: self.policy.to_owned(),
        };
        put(text, &head);
    }

    /// One request.
    pub fn line(&mut self, observed: &Observed, text: &mut String) {
        let block_tokens = observed.block_tokens.max(1);
        let each = BLOCK_TOKENS_MIN.div_ceil(block_tokens);
        let places = observed.chain.iter().skip(each as usize - 1);
        let names = places.step_by(each as usize).map(|key| self.name(key.0));
        let (mut before, mut new, mut blocks) = (None, String::new(), 0);
        for name in names.collect::<Vec<u64>>() {
            blocks += 1;
            // A name stands for all before it: after the first new one all are new.
            if new.is_empty() && self.named.contains(&name) {
                before = Some(format!("{name:016x}"));
            } else {
                self.named.insert(name);
                _ = write!(new, "{name:016x}"); // a String takes everything
            }
        }
        let line = Line {
            t: observed.at_ms,
            prompt: observed.prompt_tokens,
            output: observed.output_tokens,
            b: block_tokens * each,
            p: before,
            k: new,
            n: blocks,
            s: observed
                .session
                .map(|name| format!("{:016x}", self.name(name))),
            r: observed.replica,
            ov: observed.overlap_tokens,
            ca: observed.cached_tokens,
            q: tenths(observed.queue_ms),
            f: observed.first_ms.map(tenths),
            d: tenths(observed.whole_ms),
            cap: observed.capacity_tokens,
            e: match observed.ended {
                crate::Ended::Done => "done",
                crate::Ended::Failed => "failed",
                crate::Ended::Cancelled => "cancelled",
            }
            .to_owned(),
        };
        put(text, &line);
    }

    fn name(&self, key: u64) -> u64 {
        mix(key ^ self.salt)
    }
}

fn tenths(ms: f64) -> f64 {
    (ms * 10.0).round() / 10.0
}

fn put(text: &mut String, line: &impl serde::Serialize) {
    // Numbers and digits: nothing that could not be written.
    if let Ok(line) = serde_json::to_string(line) {
        text.push_str(&line);
        text.push('\n');
    }
}
