//! What the fuzz target `metrics` promises.

#[cfg(test)]
mod tests;

use crate::{discovery, figures::Figures};

/// Any answer of /metrics: no panic, and figures that can be reckoned with. Any file of replicas:
/// no panic, and each replica has an address.
pub fn metrics(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let all = Figures::of(&text, None);
    can_be_reckoned_with(&all);
    for rank in 0..2 {
        let one = Figures::of(&text, Some(rank));
        can_be_reckoned_with(&one);
        assert!(one.running <= all.running && one.waiting <= all.waiting);
        assert!(one.kv_usage <= all.kv_usage);
    }
    for replica in discovery::parse(&text) {
        assert!(!replica.url.is_empty() && !replica.url.ends_with('/'));
    }
}

fn can_be_reckoned_with(figures: &Figures) {
    assert!(figures.kv_usage >= 0.0 && figures.kv_usage.is_finite());
    assert!(figures.computed_tokens.is_finite());
    assert!(figures.process_start_s.is_finite());
    assert_ne!(figures.block_tokens, Some(0));
    assert_ne!(figures.capacity_blocks, Some(0));
}
