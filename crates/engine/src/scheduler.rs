//! Continuous batching over the block cache. Pure: it knows neither time nor IO.
//!
//! A step first gives each running request its next token, or the next piece of its prompt, then
//! admits waiting requests while the step has room for tokens and the batch for requests. Blocks
//! are taken, named and told of when a step begins, tokens appear when it ends, as in vLLM. When
//! blocks run out the request admitted last gives its own back and waits again.

use crate::{blocks::BlockCache, figures::Counters, sequence::Sequence, tell};
use onefill_events::encode::OutEvent;
use onefill_kv::engine_hash::Digest;
use std::collections::VecDeque;
use tokio::time::Instant;

/// Bounds of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Limits {
    pub(crate) block_tokens: usize,
    /// Requests in the batch.
    pub(crate) seqs_max: usize,
    /// Tokens of a step.
    pub(crate) batched_tokens_max: usize,
}

/// What a step computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Work {
    pub(crate) prefill_tokens: usize,
    pub(crate) decodes: usize,
}

/// Requests and blocks of one replica.
#[derive(Debug)]
pub(crate) struct Scheduler {
    limits: Limits,
    cache: BlockCache,
    waiting: VecDeque<Sequence>,
    running: Vec<Sequence>,
    /// Told with the end of the step.
    events: Vec<OutEvent>,
    evicted: Vec<Digest>,
    pub(crate) counters: Counters,
}

impl Scheduler {
    pub(crate) fn new(limits: Limits, blocks: u32) -> Self {
        Self {
            limits,
            cache: BlockCache::new(blocks),
            waiting: VecDeque::new(),
            running: Vec::new(),
            events: Vec::new(),
            evicted: Vec::new(),
            counters: Counters::default(),
        }
    }

    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Share of blocks in use, 0 to 1.
    pub(crate) fn usage(&self) -> f64 {
        self.cache.usage()
    }

    /// Different blocks in the cache.
    pub(crate) fn cached_blocks(&self) -> usize {
        self.cache.named()
    }

    /// Leading blocks of these names that are in the cache.
    pub(crate) fn held(&self, names: &[Digest]) -> usize {
        let held = |name: &&Digest| self.cache.find(name).is_some();
        names.iter().take_while(held).count()
    }

    /// Adapters of requests that run, and of those that wait.
    pub(crate) fn adapters(&self) -> [Vec<&str>; 2] {
        [names(self.running.iter()), names(self.waiting.iter())]
    }

    pub(crate) fn add(&mut self, sequence: Sequence) {
        self.waiting.push_back(sequence);
    }

    /// A client left: its blocks are free at once.
    pub(crate) fn cancel(&mut self, id: u64) {
        let place = self.running.iter().position(|one| one.id == id);
        if let Some(place) = place {
            let sequence = self.running.remove(place);
            self.cache.release(&sequence.blocks);
            self.counters.aborted += 1;
        } else if let Some(place) = self.waiting.iter().position(|one| one.id == id) {
            self.waiting.remove(place);
            self.counters.aborted += 1;
        }
    }

    /// Empties the prefix cache; refused (false) while requests run. Told with the next step.
    pub(crate) fn reset(&mut self) -> bool {
        let cleared = self.cache.clear();
        if cleared {
            self.events.push(OutEvent::Cleared);
        }
        cleared
    }

    /// Begins a step; `None`: there is nothing to do.
    pub(crate) fn begin_step(&mut self) -> Option<Work> {
        let mut budget = self.limits.batched_tokens_max;
        let preempted = self.continue_running(&mut budget);
        if !preempted {
            while budget > 0 && self.admit(&mut budget) {}
        }
        let mut work = Work::default();
        for sequence in &self.running {
            match sequence.scheduled {
                1 if sequence.decodes() => work.decodes += 1,
                tokens => work.prefill_tokens += tokens,
            }
        }
        (work != Work::default()).then_some(work)
    }

    /// Ends a step: tokens appear, finished requests leave.
    pub(crate) fn end_step(&mut self, now: Instant) {
        let mut place = 0;
        while let Some(sequence) = self.running.get_mut(place) {
            let scheduled = std::mem::take(&mut sequence.scheduled);
            sequence.computed += scheduled;
            if scheduled > 0 && sequence.computed == sequence.known() {
                if sequence.known() < sequence.plan.tokens.len() {
                    sequence.generated += 1;
                    self.counters.generated(sequence, now);
                }
                let over = sequence.is_over();
                sequence.tell(over);
                if over {
                    let sequence = self.running.remove(place);
                    self.cache.release(&sequence.blocks);
                    self.counters.finished(&sequence, now);
                    continue;
                }
            }
            place += 1;
        }
    }

    /// What is to be told at the end of a step.
    pub(crate) fn take_events(&mut self) -> Vec<OutEvent> {
        std::mem::take(&mut self.events)
    }

    /// True if a request had to give its blocks back.
    fn continue_running(&mut self, budget: &mut usize) -> bool {
        let (mut place, mut preempted) = (0, false);
        while *budget > 0
            && let Some(sequence) = self.running.get(place)
        {
            let tokens = (sequence.known() - sequence.computed).min(*budget);
            let blocks = self.blocks_for(sequence.computed + tokens) - sequence.blocks.len();
            while blocks > self.cache.free() && place < self.running.len() {
                preempted = true;
                self.preempt_last();
            }
            if place < self.running.len() {
                self.grow(place, tokens);
                *budget -= tokens;
                place += 1;
            }
        }
        preempted
    }

    /// The request admitted last gives its blocks back and waits again, before all others.
    fn preempt_last(&mut self) {
        let Some(mut sequence) = self.running.pop() else {
            return;
        };
        self.cache.release(&sequence.blocks);
        sequence.blocks.clear();
        (sequence.computed, sequence.named, sequence.scheduled) = (0, 0, 0);
        self.counters.preemptions += 1;
        self.waiting.push_front(sequence);
    }

    /// Lets the first waiting request in; false where it has to wait on.
    fn admit(&mut self, budget: &mut usize) -> bool {
        let Some(sequence) = self.waiting.front() else {
            return false;
        };
        if self.running.len() >= self.limits.seqs_max {
            return false;
        }
        let hits = self.hits(sequence);
        let of_free = hits.iter().filter(|block| self.cache.is_free(**block));
        let needed = self.blocks_for(sequence.known()) - hits.len() + of_free.count();
        if needed > self.cache.free() {
            return false;
        }
        let Some(mut sequence) = self.waiting.pop_front() else {
            return false;
        };
        hits.iter().for_each(|block| self.cache.share(*block));
        sequence.computed = hits.len() * self.limits.block_tokens;
        sequence.named = hits.len();
        sequence.blocks = hits;
        if sequence.cached_tokens.is_none() {
            sequence.cached_tokens = Some(sequence.computed);
            self.counters.admitted(&sequence);
        }
        let tokens = (sequence.known() - sequence.computed).min(*budget);
        self.running.push(sequence);
        self.grow(self.running.len() - 1, tokens);
        *budget -= tokens;
        true
    }

    /// Leading blocks of a request that are in the cache. One token at least is left to compute:
    /// without it there were nothing to predict the next one from.
    fn hits(&self, sequence: &Sequence) -> Vec<u32> {
        let most = (sequence.known() - 1) / self.limits.block_tokens;
        let names = sequence.plan.digests.iter().take(most);
        names.map_while(|name| self.cache.find(name)).collect()
    }

    fn blocks_for(&self, tokens: usize) -> usize {
        tokens.div_ceil(self.limits.block_tokens)
    }

    /// Schedules so many tokens of a running request: takes blocks, names those that fill.
    fn grow(&mut self, place: usize, tokens: usize) {
        let Some(sequence) = self.running.get_mut(place) else {
            return;
        };
        let end = sequence.computed + tokens;
        sequence.scheduled = tokens;
        while sequence.blocks.len() * self.limits.block_tokens < end
            && let Some(block) = self.cache.take(&mut self.evicted)
        {
            sequence.blocks.push(block);
        }
        self.events
            .extend(self.evicted.drain(..).map(tell::removed));
        let full = end / self.limits.block_tokens;
        let fresh = sequence.named..full;
        if fresh.is_empty() {
            return;
        }
        let blocks = sequence.blocks.get(fresh.clone()).unwrap_or_default();
        let digests = sequence.plan.digests.get(fresh.clone()).unwrap_or_default();
        for (block, digest) in blocks.iter().zip(digests) {
            self.cache.name(*block, *digest);
        }
        let stored = tell::stored(&sequence.plan, fresh, self.limits.block_tokens);
        self.events.push(OutEvent::Stored(stored));
        sequence.named = full;
    }
}

fn names<'a>(sequences: impl Iterator<Item = &'a Sequence>) -> Vec<&'a str> {
    let mut names: Vec<&str> = sequences
        .filter_map(|sequence| sequence.plan.lora.as_ref())
        .map(|lora| lora.name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests;
