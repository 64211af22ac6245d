mod batching;
mod captures;

use super::*;
use crate::{
    config::{Adapter, Cache, Config},
    names::Names,
    sequence::{Finish, Plan, Progress},
};
use onefill_kv::engine_hash::Algorithm;
use std::sync::Arc;
use tokio::sync::watch;

/// A replica's scheduler, driven by hand.
struct Desk {
    scheduler: Scheduler,
    names: Names,
    next_id: u64,
    /// Events of each step that had any.
    told: Vec<Vec<OutEvent>>,
}

/// A request: its prompt, its answer, its namespace.
#[derive(Default)]
struct Ask<'a> {
    prompt: &'a [u32],
    answer: &'a [u32],
    lora: Option<Arc<Adapter>>,
    salt: Option<&'a str>,
}

impl Desk {
    fn new(cache: &Cache, seqs_max: usize, batched_tokens_max: usize) -> Self {
        let limits = Limits {
            block_tokens: cache.block_tokens as usize,
            seqs_max,
            batched_tokens_max,
        };
        Self {
            scheduler: Scheduler::new(limits, cache.blocks),
            names: Names::new(cache),
            next_id: 0,
            told: Vec::new(),
        }
    }

    fn add(&mut self, ask: &Ask<'_>) -> watch::Receiver<Progress> {
        let tokens = [ask.prompt, ask.answer].concat();
        let plan = Plan {
            digests: self.names.of(&tokens, ask.lora.as_deref(), ask.salt),
            tokens,
            prompt_tokens: ask.prompt.len(),
            lora: ask.lora.clone(),
            salt: ask.salt.map(str::to_owned),
            finish: Finish::Length,
        };
        let (sequence, progress) = Sequence::new(self.next_id, plan, Instant::now());
        self.next_id += 1;
        self.scheduler.add(sequence);
        progress
    }

    fn step(&mut self) -> Option<Work> {
        let work = self.scheduler.begin_step()?;
        self.scheduler.end_step(Instant::now());
        let events = self.scheduler.take_events();
        if !events.is_empty() {
            self.told.push(events);
        }
        Some(work)
    }

    /// Steps until nothing is left; gives what each did.
    fn drain(&mut self) -> Vec<Work> {
        std::iter::from_fn(|| self.step()).collect()
    }

    /// Answers one request by itself; gives how much of its prompt was cached.
    fn ask(&mut self, ask: &Ask<'_>) -> usize {
        let progress = self.add(ask);
        self.drain();
        let progress = *progress.borrow();
        assert!(progress.over);
        progress.cached_tokens
    }
}

fn cache(blocks: u32, block_tokens: u32, algorithm: Algorithm, seed: Option<&str>) -> Cache {
    Cache {
        blocks,
        block_tokens,
        algorithm,
        hash_seed: seed.map(str::to_owned),
        ..Config::default().cache
    }
}
