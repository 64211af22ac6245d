//! The real scheduler, called as the router calls it.

use super::{Question, Route, Seat};
use crate::sim::Shape;
use hashbrown::HashMap;
use onefill_index::History;
use onefill_kv::{BlockKey, Knowledge, Overlap, ReplicaId};
use onefill_schedule::{Ask, Candidate, Ended, Policy, ReplicaLoad, Scheduler, Ticket, Usage};
use std::{sync::Arc, time::Duration};

pub(super) struct Ours {
    scheduler: Scheduler,
    tickets: HashMap<u32, (Ticket, Arc<[BlockKey]>)>,
    policy: Policy,
    /// What was sent where: how long a cache keeps blocks, and all that one policy knows.
    histories: Vec<History>,
    candidates: Vec<Candidate>,
}

impl Ours {
    pub(super) fn new(policy: Policy, fleet: &Shape, block_tokens: u32, seed: u64) -> Self {
        let blocks = (fleet.gpu_tokens / u64::from(block_tokens.max(1))) as usize;
        Self {
            policy,
            scheduler: Scheduler::new(policy, seed),
            tickets: HashMap::new(),
            histories: (0..fleet.replicas).map(|_| History::new(blocks)).collect(),
            candidates: Vec::new(),
        }
    }

    fn candidate(&self, now: Duration, question: &Question<'_>, seat: (usize, &Seat)) -> Candidate {
        let (place, seat) = seat;
        let history = &self.histories[place];
        let (overlap, knowledge) = match self.policy {
            Policy::Prefix => {
                let held = history.overlap(&question.chain);
                (Overlap::gpu(held), Knowledge::Approximate)
            }
            _ => (seat.overlap, Knowledge::Exact),
        };
        Candidate {
            replica: ReplicaId(place as u16),
            overlap,
            knowledge,
            load: ReplicaLoad {
                idle: history.idle(question.chain.len(), now),
                ..seat.load
            },
        }
    }
}

impl Route for Ours {
    fn route(&mut self, now: Duration, question: &Question<'_>, seats: &[Seat]) -> usize {
        let ask = Ask {
            prompt_tokens: question.request.prompt_tokens,
            chain: Arc::clone(&question.chain),
            block_tokens: question.block_tokens,
            output_tokens_max: None,
            session: question.request.session,
        };
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        let each = seats.iter().enumerate();
        candidates.extend(each.map(|seat| self.candidate(now, question, seat)));
        let pick = self.scheduler.pick(now, &ask, &candidates);
        self.candidates = candidates;
        let Some(pick) = pick else {
            return 0;
        };
        let chain = Arc::clone(&question.chain);
        self.tickets.insert(question.number, (pick.ticket, chain));
        usize::from(pick.replica.0)
    }

    fn first_byte(&mut self, now: Duration, number: u32) {
        let Some((ticket, chain)) = self.tickets.get(&number) else {
            return;
        };
        self.scheduler.first_byte(now, ticket);
        if let Some(history) = self.histories.get_mut(usize::from(ticket.replica.0)) {
            history.touch(chain, now);
        }
    }

    fn finished(&mut self, now: Duration, number: u32) {
        if let Some((ticket, _)) = self.tickets.remove(&number) {
            let usage = Usage::default();
            self.scheduler.finished(now, ticket, Ended::Done, usage);
        }
    }
}
