//! Hit ratio by size: a trace through one cache, which is what routing by content makes of the
//! caches of all replicas together (docs/policies.md).

use crate::{shelf::Shelf, trace::Trace};
use onefill_evict::Choice;

/// Prompt tokens of each request that one cache of so many blocks has.
#[must_use]
pub fn hits(trace: &Trace, blocks: usize, eviction: Choice) -> Vec<u64> {
    let mut cache = Shelf::new(blocks, eviction);
    let mut evicted = Vec::new();
    let mut hits = Vec::with_capacity(trace.requests.len());
    for request in &trace.requests {
        hits.push(request.tokens(cache.hits(&request.blocks), trace.block_tokens));
        cache.touch(&request.blocks, &mut evicted);
        evicted.clear();
    }
    hits
}

/// Share of prompt tokens that is in `hits`, from the first `warm_up` of the requests on (0 to 1).
#[must_use]
pub fn ratio(trace: &Trace, hits: &[u64], warm_up: f64) -> f64 {
    let first = (trace.requests.len() as f64 * warm_up) as usize;
    let asked = trace.requests.iter().skip(first);
    let all: u64 = asked.map(|request| u64::from(request.prompt_tokens)).sum();
    let hit: u64 = hits.iter().skip(first).sum();
    hit as f64 / f64::max(all as f64, 1.0)
}

/// Share of prompt tokens that one cache of so many blocks has, after a warm-up.
#[must_use]
pub fn hit_ratio(trace: &Trace, blocks: usize, eviction: Choice, warm_up: f64) -> f64 {
    ratio(trace, &hits(trace, blocks, eviction), warm_up)
}

/// Share that an unlimited cache has.
#[must_use]
pub fn ideal_ratio(trace: &Trace) -> f64 {
    hit_ratio(trace, trace.names.len(), Choice::Lru, 0.0)
}

/// Sizes are found to one part in so many.
const PRECISION: usize = 50;

/// The least tokens with which one cache hits `wanted` of the prompt tokens; `None` where no size
/// does.
#[must_use]
pub fn size_for(trace: &Trace, wanted: f64, eviction: Choice) -> Option<u64> {
    let hits = |blocks| hit_ratio(trace, blocks, eviction, 0.0);
    let mut enough = trace.names.len();
    if hits(enough) < wanted {
        return None;
    }
    let mut short = 0;
    while enough - short > 1 + enough / PRECISION {
        // The curve is steep where caches are small: halves of the size, not of the range.
        let middle = match short {
            0 => enough / 2,
            _ => short + (enough - short) / 2,
        };
        match hits(middle) < wanted {
            true => short = middle,
            false => enough = middle,
        }
    }
    Some(enough as u64 * u64::from(trace.block_tokens))
}
