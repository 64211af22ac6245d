//! Overlap and load to a pick, with a receipt. Pure: the clock is an argument (time since the
//! scheduler's start), randomness is seeded.
#![forbid(unsafe_code)]

mod book;
mod choose;
mod cost;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod prefills;
mod rates;
pub mod usage;

use book::{Book, InFlight};
use onefill_kv::{BlockKey, Knowledge, Overlap, ReplicaId, Tier};
use parking_lot::Mutex;
use std::{fmt, sync::Arc, time::Duration};

/// How a replica is chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Policy {
    /// Least cost in seconds, knowing what each replica holds.
    #[default]
    Kv,
    /// The same cost, knowing only what this router sent where.
    Prefix,
    /// One session stays on one replica (rendezvous hash), bounded by load.
    Session,
    /// Least expected work.
    LeastLoad,
    /// In turn.
    RoundRobin,
}

impl Policy {
    /// All policies.
    pub const ALL: [Self; 5] = [
        Self::Kv,
        Self::Prefix,
        Self::Session,
        Self::LeastLoad,
        Self::RoundRobin,
    ];

    /// The name used in flags, receipts and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kv => "kv",
            Self::Prefix => "prefix",
            Self::Session => "session",
            Self::LeastLoad => "least-load",
            Self::RoundRobin => "round-robin",
        }
    }
}

/// What is asked of the fleet.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Tokens of the prompt (an estimate where no tokenizer is at hand).
    pub prompt_tokens: u32,
    /// Keys of the prompt's full blocks; empty where tokens are not known.
    pub chain: Arc<[BlockKey]>,
    /// Tokens a block of `chain`.
    pub block_tokens: u32,
    /// Most tokens to be generated, where the request says.
    pub output_tokens_max: Option<u32>,
    /// Hash of what names the session, where the request says.
    pub session: Option<u64>,
}

/// A replica's load as last heard from it.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct ReplicaLoad {
    /// Requests in its batch.
    pub running: u32,
    /// Requests in its queue.
    pub waiting: u32,
    /// Share of its KV cache in use by running requests, 0 to 1.
    pub kv_usage: f32,
    /// Blocks of its KV cache; 0: not known.
    pub capacity_blocks: u32,
    /// Blocks that the index (or the history) says it holds.
    pub held_blocks: u32,
    /// Age of these figures; `None`: never heard.
    pub age: Option<Duration>,
    /// For how long the block that must leave next has not been asked for; `None`: there is room,
    /// or it is not known.
    pub idle: Option<Duration>,
}

/// A replica that may be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Its number.
    pub replica: ReplicaId,
    /// What it holds of the chain.
    pub overlap: Overlap,
    /// How well that is known.
    pub knowledge: Knowledge,
    /// Its load.
    pub load: ReplicaLoad,
}

/// The choice.
#[derive(Debug)]
pub struct Pick {
    /// The replica chosen.
    pub replica: ReplicaId,
    /// Why.
    pub receipt: Receipt,
    /// To be handed back as the request goes on.
    pub ticket: Ticket,
}

/// Names a booked request. Hand it back to [`Scheduler::finished`], whatever happens.
#[derive(Debug)]
pub struct Ticket {
    /// Number in the book.
    pub id: u64,
    /// Where it was sent.
    pub replica: ReplicaId,
}

/// Why a replica was chosen. `Display` gives the value of `x-onefill-reason`.
#[derive(Clone, PartialEq, Debug)]
pub struct Receipt {
    /// Policy that chose.
    pub policy: Policy,
    /// How well the chosen replica's cache is known.
    pub knowledge: Knowledge,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens that the replica will find in its cache when it comes to this request: what it holds,
    /// and what requests sent there before leave there.
    pub overlap_tokens: u32,
    /// Those of them that it holds already.
    pub held_tokens: u32,
    /// Farthest tier that the overlap uses, "none" without overlap.
    pub tier: &'static str,
    /// The cost, in seconds.
    pub cost_s: f64,
    /// The part of it spent waiting, in seconds.
    pub queue_s: f64,
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "policy={} state={} overlap_tokens={} prompt_tokens={} tier={} cost_ms={:.1}",
            self.policy.name(),
            self.knowledge,
            self.overlap_tokens,
            self.prompt_tokens,
            self.tier,
            self.cost_s * 1e3
        )?;
        if self.held_tokens < self.overlap_tokens {
            write!(f, " held_tokens={}", self.held_tokens)?;
        }
        write!(f, " queue_ms={:.1}", self.queue_s * 1e3)
    }
}

/// One candidate's cost, term by term, for people (`/debug/route`).
#[derive(Clone, Debug)]
pub struct Explained {
    /// The candidate.
    pub replica: ReplicaId,
    /// Named terms in seconds, and figures they come from.
    pub terms: Vec<(&'static str, f64)>,
    /// Their sum, by which the least wins.
    pub cost_s: f64,
}

/// How a request ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// Answered to the end.
    Done,
    /// The replica failed, or was not reached.
    Failed,
    /// The client left.
    Cancelled,
}

/// Chooses, and keeps the book of what is in flight. Shared by all request tasks.
#[derive(Debug)]
pub struct Scheduler {
    policy: Policy,
    seed: u64,
    book: Mutex<Book>,
}

impl Scheduler {
    /// A scheduler with an empty book.
    pub fn new(policy: Policy, seed: u64) -> Self {
        Self {
            policy,
            seed,
            book: Mutex::default(),
        }
    }

    /// The policy it chooses by.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Chooses among `candidates` and books the request there. `None` without candidates.
    pub fn pick(&self, now: Duration, ask: &Ask, candidates: &[Candidate]) -> Option<Pick> {
        let mut book = self.book.lock();
        let terms = cost::weigh(&book, now, ask, candidates);
        let place = choose::choose(self.policy, self.seed, &mut book, ask, candidates, &terms)?;
        let (candidate, terms) = (candidates.get(place)?, terms.get(place)?);
        let id = book.open(InFlight {
            replica: candidate.replica,
            started: now,
            own: terms.own(),
            queued: terms.queued,
            prefilling: true,
            chain: Arc::clone(&ask.chain),
        });
        let receipt = Receipt {
            policy: self.policy,
            knowledge: candidate.knowledge,
            prompt_tokens: ask.prompt_tokens,
            overlap_tokens: terms.overlap_tokens,
            held_tokens: terms.held_tokens,
            tier: match candidate.overlap.farthest_tier() {
                Some(tier) => tier.name(),
                // Others are computing it there.
                None if terms.overlap_tokens > 0 => Tier::Gpu.name(),
                None => "none",
            },
            cost_s: terms.cost_s(),
            queue_s: terms.queue_s,
        };
        let ticket = Ticket {
            id,
            replica: candidate.replica,
        };
        Some(Pick {
            replica: candidate.replica,
            receipt,
            ticket,
        })
    }

    /// What `pick` would weigh, without booking.
    pub fn explain(&self, now: Duration, ask: &Ask, candidates: &[Candidate]) -> Vec<Explained> {
        let terms = cost::weigh(&self.book.lock(), now, ask, candidates);
        let each = candidates.iter().zip(terms);
        each.map(|(candidate, terms)| Explained {
            replica: candidate.replica,
            terms: terms.named(),
            cost_s: terms.cost_s(),
        })
        .collect()
    }

    /// The first byte of the answer's body has come: prefill is over.
    pub fn first_byte(&self, now: Duration, ticket: &Ticket) {
        self.book.lock().first_byte(now, ticket.id);
    }

    /// The request went to another replica than it was picked for: a proxy tried the next one.
    pub fn moved(&self, now: Duration, ticket: &mut Ticket, replica: ReplicaId) {
        ticket.id = self.book.lock().moved(now, ticket.id, replica);
        ticket.replica = replica;
    }

    /// The request is over. `usage` as the replica reported, if it did.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used up")]
    pub fn finished(&self, now: Duration, ticket: Ticket, ended: Ended, usage: Usage) {
        let _ = usage;
        self.book
            .lock()
            .close(now, ticket.id, ended != Ended::Failed);
    }

    /// The replica is gone or restarted: its rates and its part of the book are forgotten.
    pub fn forget(&self, replica: ReplicaId) {
        self.book.lock().forget(replica);
    }

    /// Tokens of requests sent to `replica` that it has not computed yet, by this router's own count.
    pub fn queued_tokens(&self, now: Duration, replica: ReplicaId) -> f64 {
        self.book.lock().seen(replica).queued(now).computed_tokens
    }

    /// Requests in flight at `replica`, by this router's own count.
    pub fn in_flight(&self, replica: ReplicaId) -> u32 {
        self.book.lock().seen(replica).in_flight
    }
}

/// What a replica reported at the end of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Prompt tokens.
    pub prompt_tokens: Option<u32>,
    /// Prompt tokens that it had in its cache.
    pub cached_tokens: Option<u32>,
    /// Tokens generated.
    pub output_tokens: Option<u32>,
}
