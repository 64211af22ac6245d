use super::*;

#[test]
fn the_published_cost() {
    // 1,600 tokens in flight and 1,600 of this prompt in blocks of 16, 40 blocks of them held.
    assert_eq!(logit(3200.0, 16, 40.0, 25.0), 160.0 + 25.0);
    assert_eq!(
        logit(160.0, 16, 40.0, 25.0),
        25.0,
        "no credit beyond the prefill"
    );
}

#[test]
fn a_block_counts_by_its_tier() {
    let overlap = Overlap {
        depth: [10, 14, 18, 22],
    };
    assert_eq!(credit(overlap), 10.0 + 3.0 + 1.0 + 2.0);
}
