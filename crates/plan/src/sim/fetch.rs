//! What a replica finds of a prompt, tier by tier, and how long loading it takes.

use super::Rates;
use crate::{
    cache::Cache,
    trace::{Request, Trace},
};

/// Tokens of a prompt by where they come from.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Found {
    pub(super) gpu: u64,
    pub(super) cpu: u64,
    pub(super) store: u64,
    pub(super) computed: u64,
}

impl Found {
    /// Time to load what lies in other tiers.
    pub(super) fn load_s(&self, rates: &Rates) -> f64 {
        let cpu = self.cpu as f64 / rates.cpu_tokens_s;
        let store = match self.store {
            0 => 0.0,
            tokens => rates.store_latency_s + tokens as f64 / rates.store_tokens_s,
        };
        cpu + store
    }
}

/// Looks through the tiers, nearest first, as an engine does: each goes on where the one before
/// ended.
pub(super) fn find(
    trace: &Trace,
    request: &Request,
    gpu: &Cache,
    cpu: Option<&Cache>,
    store: Option<&Cache>,
) -> Found {
    let blocks = &request.blocks;
    let end_gpu = gpu.hits(blocks);
    let beyond = |from: usize, tier: Option<&Cache>| match tier {
        Some(tier) => from + tier.hits(&blocks[from..]),
        None => from,
    };
    let end_cpu = beyond(end_gpu, cpu);
    let end_store = beyond(end_cpu, store);
    let tokens = |blocks| request.tokens(blocks, trace.block_tokens);
    let (gpu, cpu, store) = (tokens(end_gpu), tokens(end_cpu), tokens(end_store));
    Found {
        gpu,
        cpu: cpu - gpu,
        store: store - cpu,
        computed: u64::from(request.prompt_tokens) - store,
    }
}
