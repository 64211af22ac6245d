//! Line 1: a plain LRU hits what the published simulator's hits.

use crate::traces;
use onefill_evict::Choice;
use onefill_plan::sizing::hit_ratio;

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
        let ours = 100.0 * hit_ratio(&trace, blocks, Choice::Lru, 0.5);
        let ours = format!("{ours:.1}");
        println!("  {blocks:>7} {ours:>8} {published:>20}");
        if ours != published {
            missed.push(format!(
                "LRU of {blocks} blocks hits {ours} %, not {published} %"
            ));
        }
    }
    missed
}
