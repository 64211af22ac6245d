//! What a replica finds of a prompt, tier by tier, and how long loading it takes.

use super::Rates;
use crate::{
    cache::Cache,
    shelf::Shelf,
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
    store: Option<&Shelf>,
) -> Found {
    let blocks = &request.blocks;
    let end_gpu = gpu.hits(blocks);
    let end_cpu = end_gpu + cpu.map_or(0, |cpu| cpu.hits(&blocks[end_gpu..]));
    let end_store = end_cpu + store.map_or(0, |store| store.hits(&blocks[end_cpu..]));
    let tokens = |blocks| request.tokens(blocks, trace.block_tokens);
    let (gpu, cpu, store) = (tokens(end_gpu), tokens(end_cpu), tokens(end_store));
    Found {
        gpu,
        cpu: cpu - gpu,
        store: store - cpu,
        computed: u64::from(request.prompt_tokens) - store,
    }
}
