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
#[derive(Debug, Clone, Default)]
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
    /// What this scheduler has sent there and is not computed yet.
    queue: Prefills,
}

impl Seen {
    /// Tokens given to it lately.
    pub(crate) fn work_tokens(&self, now: Duration) -> f64 {
        if self.work_tokens == 0.0 {
            return 0.0;
        }
        let age_s = now.saturating_sub(self.work_at).as_secs_f64();
        self.work_tokens * (-age_s / WORK_HALF_LIFE_S).exp2()
    }

    /// Work sent there that is not done yet.
    pub(crate) fn queued(&self, now: Duration) -> Work {
        self.queue.left(now)
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

/// Leading blocks of one chain that replicas hold or will soon, though no event has said so.
#[derive(Debug, Default)]
pub(crate) struct Predicted(SmallVec<[(ReplicaId, u32); 8]>);

impl Predicted {
    fn add(&mut self, replica: ReplicaId, blocks: u32) {
        match self.0.iter_mut().find(|(known, _)| *known == replica) {
            Some((_, most)) => *most = blocks.max(*most),
            None => self.0.push((replica, blocks)),
        }
    }

    /// Those of one replica.
    pub(crate) fn blocks(&self, replica: ReplicaId) -> u32 {
        let found = self.0.iter().find(|(known, _)| *known == replica);
        found.map_or(0, |(_, blocks)| *blocks)
    }
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Book {
    next: u64,
    pub(crate) requests: HashMap<u64, InFlight>,
    /// By number, as far as replicas were picked.
    replicas: Vec<Seen>,
    /// One that was never picked.
    stranger: Seen,
    pub(crate) rates: Rates,
    families: HashMap<BlockKey, SmallVec<[Sibling; 2]>>,
    /// Turn of round robin.
    pub(crate) turn: usize,
}

impl Book {
    pub(crate) fn seen(&self, replica: ReplicaId) -> &Seen {
        let seen = self.replicas.get(usize::from(replica.0));
        seen.unwrap_or(&self.stranger)
    }

    fn entry(&mut self, replica: ReplicaId) -> &mut Seen {
        let place = usize::from(replica.0);
        if place >= self.replicas.len() {
            self.replicas.resize_with(place + 1, Seen::default);
        }
        &mut self.replicas[place]
    }

    /// For replicas that are computing leading blocks of `chain`, or have just computed them, for others:
    /// how many.
    pub(crate) fn predicted(&self, now: Duration, chain: &[BlockKey]) -> Predicted {
        let family = chain.first().and_then(|first| self.families.get(first));
        let siblings = family.into_iter().flatten();
        let known = siblings.filter(|sibling| sibling.until.is_none_or(|until| until > now));
        let mut predicted = Predicted::default();
        for sibling in known {
            let common = common_prefix(&sibling.chain, chain);
            predicted.add(sibling.replica, u32::try_from(common).unwrap_or(u32::MAX));
        }
        predicted
    }

    /// Notes a request as sent; gives its number.
    pub(crate) fn open(&mut self, request: InFlight) -> u64 {
        self.next += 1;
        let id = self.next;
        let seen = self.entry(request.replica);
        seen.in_flight += 1;
        seen.picked = id;
        seen.add_work(request.started, request.own.computed_tokens);
        seen.queue.push(request.started, id, request.own);
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
        let Some(seen) = self.replicas.get_mut(usize::from(request.replica.0)) else {
            return;
        };
        seen.queue.remove(now, id);
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
        if let Some(seen) = self.replicas.get_mut(usize::from(request.replica.0)) {
            seen.in_flight = seen.in_flight.saturating_sub(1);
            if request.prefilling {
                seen.queue.remove(now, id);
            } else {
                seen.decoding = seen.decoding.saturating_sub(1);
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
        if let Some(seen) = self.replicas.get_mut(usize::from(replica.0)) {
            *seen = Seen::default();
        }
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
