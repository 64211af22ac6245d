//! Policies side by side: ours, which is the real scheduler, and the peers', from their published
//! formulas.

mod dynamo;
mod gie;
mod ours;
mod prefix_hash;
mod smg;

use crate::{sim::Shape, trace::Request};
use onefill_kv::{BlockKey, Overlap};
use onefill_schedule::{Policy, ReplicaLoad};
use std::{sync::Arc, time::Duration};

/// A request to be routed.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// Its number.
    pub number: u32,
    /// The request.
    pub request: &'a Request,
    /// Keys of its prompt's blocks.
    pub chain: Arc<[BlockKey]>,
    /// Tokens a block.
    pub block_tokens: u32,
}

/// A replica as a router may see it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seat {
    /// What the index says it holds of the prompt.
    pub overlap: Overlap,
    /// Its load.
    pub load: ReplicaLoad,
}

/// A way of routing. The caller tells it how each request goes on.
pub trait Route {
    /// The place of the replica for this request; `seats` is never empty.
    fn route(&mut self, now: Duration, question: &Question<'_>, seats: &[Seat]) -> usize;
    /// The request's prefill is over.
    fn first_byte(&mut self, now: Duration, number: u32);
    /// The request is over.
    fn finished(&mut self, now: Duration, number: u32);
}

/// All policies, by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Name {
    /// One of ours.
    Ours(Policy),
    /// Consistent hashing of the prompt's head with bounded loads.
    PrefixHash,
    /// The default profile of GIE and llm-d.
    Gie,
    /// Dynamo's cost.
    Dynamo,
    /// smg's `cache_aware`.
    Smg,
}

impl Name {
    /// All of them, ours first.
    pub const ALL: [Self; 9] = [
        Self::Ours(Policy::Kv),
        Self::Ours(Policy::Prefix),
        Self::Ours(Policy::Session),
        Self::Ours(Policy::LeastLoad),
        Self::Ours(Policy::RoundRobin),
        Self::PrefixHash,
        Self::Gie,
        Self::Dynamo,
        Self::Smg,
    ];

    /// The name used in flags and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ours(policy) => policy.name(),
            Self::PrefixHash => "prefix-hash",
            Self::Gie => "gie",
            Self::Dynamo => "dynamo",
            Self::Smg => "smg",
        }
    }

    /// By name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|each| each.name() == name)
    }

    /// A router of this policy for a fleet.
    #[must_use]
    pub fn build(self, fleet: &Shape, block_tokens: u32, seed: u64) -> Box<dyn Route> {
        match self {
            Self::Ours(policy) => Box::new(ours::Ours::new(policy, fleet, block_tokens, seed)),
            Self::PrefixHash => Box::new(prefix_hash::PrefixHash::new(fleet.replicas)),
            Self::Gie => Box::new(gie::Gie::new(fleet, block_tokens, seed)),
            Self::Dynamo => Box::new(dynamo::Dynamo::new(fleet.replicas, seed)),
            Self::Smg => Box::new(smg::Smg::new(fleet.replicas)),
        }
    }
}
