//! What stays and what leaves.

use super::Cache;

#[test]
fn tails_leave_before_heads() {
    let mut cache = Cache::new(4);
    let mut evicted = Vec::new();
    cache.touch(&[1, 2, 3, 4], &mut evicted);
    cache.touch(&[1, 5], &mut evicted);
    assert_eq!(evicted, [4]);
    assert_eq!(cache.hits(&[1, 2, 3, 4]), 3);
}

#[test]
fn what_runs_does_not_leave() {
    let mut cache = Cache::new(4);
    let mut evicted = Vec::new();
    cache.pin(&[1, 2], 1, &mut evicted);
    assert!(cache.fits(&[1, 2, 3], 0), "shared blocks are pinned once");
    assert!(!cache.fits(&[3, 4], 0));
    cache.touch(&[7], &mut evicted);
    cache.touch(&[8], &mut evicted);
    assert_eq!(evicted, [7]);
    cache.unpin(&[1, 2], 1);
    assert!(cache.fits(&[3, 4, 5, 6], 0));
    cache.pin(&[3, 4, 5], 0, &mut evicted);
    assert_eq!(
        evicted,
        [7, 8, 2],
        "room for three: the oldest, then a tail"
    );
}

#[test]
fn a_prompt_longer_than_the_cache_keeps_its_head() {
    let mut cache = Cache::new(3);
    let mut evicted = Vec::new();
    assert_eq!(cache.touch(&[1, 2, 3, 4, 5], &mut evicted), 3);
    assert_eq!(cache.hits(&[1, 2, 3, 4, 5]), 3);
    assert!(evicted.is_empty());
}
