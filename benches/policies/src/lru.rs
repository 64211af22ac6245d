//! Line 1: a plain LRU hits what the published simulator's hits.

use crate::traces;
use onefill_plan::{
    cache::{Cache, Eviction},
    trace::Trace,
};

/// Noted, not run here: blocks, and the hit ratio that kvcache-simulator 0.1.3 prints for the last half, in per cent.
const PUBLISHED: [(usize, &str); 3] = [(1_953, "5.5"), (9_765, "21.5"), (19_531, "30.0")];

pub fn run() -> Vec<String> {
    let Some(trace) = traces::load("conversation", 1) else {
        return Vec::new();
    };
    println!("LRU, conversation, last half of the requests");
    println!(
        "  {:>7} {:>8} {:>20}",
        "blocks", "ours %", "kvcache-simulator %"
    );
    let mut missed = Vec::new();
    for (blocks, published) in PUBLISHED {
        let ours = format!("{:.1}", 100.0 * hits(&trace, blocks, Eviction::Lru, 0.5));
        println!("  {blocks:>7} {ours:>8} {published:>20}");
        if ours != published {
            missed.push(format!(
                "LRU of {blocks} blocks hits {ours} %, not {published} %"
            ));
        }
    }
    missed
}

/// Share of prompt tokens that one cache of so many blocks has, after a warm-up.
pub fn hits(trace: &Trace, blocks: usize, eviction: Eviction, warm_up: f64) -> f64 {
    let mut cache = Cache::new(blocks, eviction);
    let mut evicted = Vec::new();
    let first = (trace.requests.len() as f64 * warm_up) as usize;
    let (mut hit, mut all) = (0, 0);
    for (number, request) in trace.requests.iter().enumerate() {
        if number >= first {
            hit += request.tokens(cache.hits(&request.blocks), trace.block_tokens);
            all += u64::from(request.prompt_tokens);
        }
        cache.touch(&request.blocks, &mut evicted);
        evicted.clear();
    }
    hit as f64 / all as f64
}
