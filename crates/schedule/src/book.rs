//! What this scheduler has in flight, and what it learned of each replica.

use crate::{
    prefills::{Prefills, Work},
    rates::{Rate, Rates, Sample},
};
use hashbrown::HashMap;
use onefill_kv::{BlockKey, ReplicaId};
use smallvec::SmallVec;
use std::{sync::Arc, time::Duration};

/// Half-life of the record of work given to a replica.
const WORK_HALF_LIFE_S: f64 = 30.0;
/// A finished request's chain counts as held for so long: events need a moment.
const GRACE: Duration = Duration::from_millis(500);
/// Chains remembered for one first block; the oldest leave.
const SIBLINGS_MAX: usize = 64;
/// First blocks with chains; at the bound new ones are not predicted.
const FAMILIES_MAX: usize = 65_536;

/// A request that was sent and is not over.
#[derive(Debug, Clone)]
pub(crate) struct InFlight {
    pub(crate) replica: ReplicaId,
    pub(crate) started: Duration,
    /// What the replica has to do for it.
    pub(crate) own: Work,
    /// What it had to do before, when it was sent.
    pub(crate) queued: Work,
    pub(crate) prefilling: bool,
    pub(crate) chain: Arc<[BlockKey]>,
}

/// One replica, as this scheduler sees it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Requests sent and not over.
    pub(crate) in_flight: u32,
    /// Those of them past their first byte.
    pub(crate) decoding: u32,
    /// What prefills took here.
    pub(crate) prefill: Rate,
    /// Tokens given to it lately, decaying.
    work_tokens: f64,
    work_at: Duration,
    /// When it was last picked, as a count of picks.
    pub(crate) picked: u64,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            in_flight: 0,
            decoding: 0,
            prefill: Rate::default(),
            work_tokens: 0.0,
            work_at: Duration::ZERO,
            picked: 0,
        }
    }
}

impl Seen {
    /// Tokens given to it lately.
    pub(crate) fn work_tokens(&self, now: Duration) -> f64 {
        let age_s = now.saturating_sub(self.work_at).as_secs_f64();
        self.work_tokens * (-age_s / WORK_HALF_LIFE_S).exp2()
    }

    fn add_work(&mut self, now: Duration, tokens: f64) {
        self.work_tokens = self.work_tokens(now) + tokens;
        self.work_at = now;
    }
}

/// A chain that a replica holds or will soon, though no event has said so.
#[derive(Debug)]
struct Sibling {
    id: u64,
    replica: ReplicaId,
    chain: Arc<[BlockKey]>,
    /// `None` while in flight.
    until: Option<Duration>,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Book {
    next: u64,
    pub(crate) requests: HashMap<u64, InFlight>,
    replicas: HashMap<ReplicaId, Seen>,
    queues: HashMap<ReplicaId, Prefills>,
    pub(crate) rates: Rates,
    families: HashMap<BlockKey, SmallVec<[Sibling; 2]>>,
    /// Turn of round robin.
    pub(crate) turn: usize,
}

impl Book {
    pub(crate) fn seen(&self, replica: ReplicaId) -> Seen {
        self.replicas.get(&replica).cloned().unwrap_or_default()
    }

    /// What this scheduler has sent to `replica` and is not computed yet.
    pub(crate) fn queued(&self, replica: ReplicaId, now: Duration) -> Work {
        let queue = self.queues.get(&replica);
        queue.map(|queue| queue.left(now)).unwrap_or_default()
    }

    /// Seconds that `replica` takes to compute a token.
    pub(crate) fn prefill_s_per_token(&self, replica: ReplicaId) -> f64 {
        self.rates.prefill_s_per_token(&self.seen(replica).prefill)
    }

    /// Leading blocks of `chain` that `replica` is computing, or has just computed, for others.
    pub(crate) fn predicted_blocks(
        &self,
        now: Duration,
        replica: ReplicaId,
        chain: &[BlockKey],
    ) -> u32 {
        let family = chain.first().and_then(|first| self.families.get(first));
        let siblings = family.into_iter().flatten();
        let known = siblings.filter(|sibling| {
            sibling.replica == replica && sibling.until.is_none_or(|until| until > now)
        });
        let common = known
            .map(|sibling| common_prefix(&sibling.chain, chain))
            .max();
        u32::try_from(common.unwrap_or(0)).unwrap_or(u32::MAX)
    }

    /// Notes a request as sent; gives its number.
    pub(crate) fn open(&mut self, request: InFlight) -> u64 {
        self.next += 1;
        let id = self.next;
        let seen = self.replicas.entry(request.replica).or_default();
        seen.in_flight += 1;
        seen.picked = id;
        seen.add_work(request.started, request.own.computed_tokens);
        let queue = self.queues.entry(request.replica).or_default();
        queue.push(request.started, id, request.own);
        self.remember(id, &request);
        self.requests.insert(id, request);
        id
    }

    fn remember(&mut self, id: u64, request: &InFlight) {
        let Some(first) = request.chain.first() else {
            return;
        };
        if self.families.len() >= FAMILIES_MAX && !self.families.contains_key(first) {
            let now = request.started;
            self.families.retain(|_, family| {
                family.retain(|sibling| sibling.until.is_none_or(|until| until > now));
                !family.is_empty()
            });
            if self.families.len() >= FAMILIES_MAX {
                return;
            }
        }
        let family = self.families.entry(*first).or_default();
        family.retain(|sibling| sibling.until.is_none_or(|until| until > request.started));
        if family.len() >= SIBLINGS_MAX {
            family.remove(0);
        }
        let chain = Arc::clone(&request.chain);
        family.push(Sibling {
            id,
            replica: request.replica,
            chain,
            until: None,
        });
    }

    /// The request's prefill is over: learn from how long it took.
    pub(crate) fn first_byte(&mut self, now: Duration, id: u64) {
        let Some(request) = self.requests.get_mut(&id) else {
            return;
        };
        if !request.prefilling {
            return;
        }
        request.prefilling = false;
        if let Some(queue) = self.queues.get_mut(&request.replica) {
            queue.remove(now, id);
        }
        let Some(seen) = self.replicas.get_mut(&request.replica) else {
            return;
        };
        seen.decoding += 1;
        let (own, queued) = (&request.own, &request.queued);
        let loaded = own.loaded_tokens.iter().zip(queued.loaded_tokens);
        let mut sample = Sample {
            seconds: now.saturating_sub(request.started).as_secs_f64(),
            computed_tokens: own.computed_tokens + queued.computed_tokens,
            loaded_tokens: [0.0; 4],
        };
        for (sum, (own, queued)) in sample.loaded_tokens.iter_mut().zip(loaded) {
            *sum = own + queued;
        }
        self.rates.learn(&mut seen.prefill, sample);
    }

    /// The request is over. `kept`: what it computed should be in the replica's cache.
    pub(crate) fn close(&mut self, now: Duration, id: u64, kept: bool) {
        let Some(request) = self.requests.remove(&id) else {
            return;
        };
        if let Some(seen) = self.replicas.get_mut(&request.replica) {
            seen.in_flight = seen.in_flight.saturating_sub(1);
            if !request.prefilling {
                seen.decoding = seen.decoding.saturating_sub(1);
            } else if let Some(queue) = self.queues.get_mut(&request.replica) {
                queue.remove(now, id);
            }
        }
        let Some(first) = request.chain.first() else {
            return;
        };
        let Some(family) = self.families.get_mut(first) else {
            return;
        };
        if kept {
            let mine = family.iter_mut().find(|sibling| sibling.id == id);
            if let Some(sibling) = mine {
                sibling.until = Some(now + GRACE);
            }
        } else {
            family.retain(|sibling| sibling.id != id);
        }
        if family.is_empty() {
            self.families.remove(first);
        }
    }

    /// The request is at another replica than it was sent to; gives its new number.
    pub(crate) fn moved(&mut self, now: Duration, id: u64, replica: ReplicaId) -> u64 {
        let Some(request) = self.requests.get(&id).cloned() else {
            return id;
        };
        self.close(now, id, false);
        self.open(InFlight { replica, ..request })
    }

    /// The replica is gone or empty.
    pub(crate) fn forget(&mut self, replica: ReplicaId) {
        self.replicas.remove(&replica);
        self.queues.remove(&replica);
        self.families.retain(|_, family| {
            family.retain(|sibling| sibling.replica != replica);
            !family.is_empty()
        });
    }
}

/// Leading blocks that two chains share. Keys name their whole prefix, so a binary search is exact.
fn common_prefix(a: &[BlockKey], b: &[BlockKey]) -> usize {
    let (mut low, mut high) = (0, a.len().min(b.len()));
    while low < high {
        let middle = (low + high).div_ceil(2);
        if a.get(middle - 1) == b.get(middle - 1) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}
