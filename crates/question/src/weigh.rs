//! What each replica holds of a question's prompt.

use crate::{Keys, Question};
use onefill_fleet::{Replica, Status};
use onefill_index::{IndexReader, Overlaps};
use onefill_kv::{Knowledge, Overlap};
use onefill_schedule::{Candidate, Policy, ReplicaLoad};
use smallvec::SmallVec;
use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

/// Where knowledge comes from, and how old it is.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// What replicas' events say.
    pub index: &'a IndexReader,
    /// By which a replica is chosen.
    pub policy: Policy,
    /// The clock of histories.
    pub now: Duration,
}

thread_local! {
    static OVERLAPS: RefCell<Overlaps> = RefCell::default();
}

impl Question {
    /// Each replica with what it holds of the prompt, and its load.
    pub fn weigh<'a>(
        &self,
        known: Known<'_>,
        replicas: &(impl Iterator<Item = &'a Replica> + Clone),
    ) -> SmallVec<[Candidate; 8]> {
        let at = Instant::now();
        let guess = |replica: &Replica| self.guess(known, replica, at);
        let mut candidates: SmallVec<[Candidate; 8]> = replicas.clone().map(guess).collect();
        let exact = |each: &Candidate| each.knowledge == Knowledge::Exact;
        if candidates.iter().any(exact) {
            for keys in &self.keys {
                self.look_up(known.index, keys, replicas.clone(), &mut candidates);
            }
        }
        candidates
    }

    /// What is known without the index: what was sent there before.
    fn guess(&self, known: Known<'_>, replica: &Replica, at: Instant) -> Candidate {
        let status = replica.status();
        let knowledge = self.knowledge(known.policy, &status);
        let mut load = load(&status, at);
        let mut overlap = Overlap::default();
        if let Some(keys) = self.keys_of(&status) {
            let history = replica.history().lock();
            load.idle = history.idle(keys.keyed.chain.len(), known.now);
            if knowledge == Knowledge::Approximate {
                load.held_blocks = u32::try_from(history.len()).unwrap_or(u32::MAX);
                let held = history.overlap(&keys.keyed.chain);
                overlap = self.counted(Overlap::gpu(held), keys);
            }
        }
        Candidate {
            replica: replica.id,
            overlap,
            knowledge,
            load,
        }
    }

    fn look_up<'a>(
        &self,
        index: &IndexReader,
        keys: &Keys,
        replicas: impl Iterator<Item = &'a Replica>,
        candidates: &mut [Candidate],
    ) {
        OVERLAPS.with_borrow_mut(|overlaps| {
            index.lookup(&keys.keyed.chain, overlaps);
            for (replica, candidate) in replicas.zip(candidates) {
                let same = replica.status().block_tokens == Some(keys.block_tokens);
                if same && candidate.knowledge == Knowledge::Exact {
                    candidate.overlap = self.counted(overlaps.get(candidate.replica), keys);
                }
            }
        });
    }

    /// How well a replica's cache is known for this prompt.
    fn knowledge(&self, policy: Policy, status: &Status) -> Knowledge {
        match (policy, status.knowledge) {
            _ if self.keys.is_empty() => Knowledge::LoadOnly,
            (Policy::Prefix, _) => Knowledge::Approximate,
            (_, Knowledge::Exact) if !self.exact => Knowledge::Approximate,
            (_, known) => known,
        }
    }

    /// An overlap in blocks of `keys`, in blocks of the question. An engine computes at least the
    /// prompt's last token, so a block that ends with it does not count.
    fn counted(&self, overlap: Overlap, keys: &Keys) -> Overlap {
        let usable = self.ask.prompt_tokens.saturating_sub(1) / keys.block_tokens.max(1);
        let scale = |blocks: u32| {
            let tokens = u64::from(blocks.min(usable)) * u64::from(keys.block_tokens);
            u32::try_from(tokens / u64::from(self.ask.block_tokens.max(1))).unwrap_or(u32::MAX)
        };
        Overlap {
            depth: overlap.depth.map(scale),
        }
    }
}

/// A replica's load as the scheduler takes it; `now` is the clock of its figures.
pub fn load(status: &Status, now: Instant) -> ReplicaLoad {
    let heard = status.load.heard;
    ReplicaLoad {
        running: status.load.running,
        waiting: status.load.waiting,
        kv_usage: status.load.kv_usage,
        capacity_blocks: status.capacity_blocks.unwrap_or(0),
        held_blocks: u32::try_from(status.held_blocks).unwrap_or(u32::MAX),
        age: heard.map(|heard| now.saturating_duration_since(heard)),
        idle: None,
    }
}
