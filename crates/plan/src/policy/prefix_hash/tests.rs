use super::*;

#[test]
fn a_head_has_its_replica_until_that_one_is_over_its_bound() {
    let mut hash = PrefixHash::new(4);
    let home = hash.find(77);
    assert_eq!(hash.find(77), home);
    hash.loads[home] = 10;
    // mean (10 + 1) / 4 = 2.75, bound ceil(3.44) = 4: ten and this one are over it.
    assert_ne!(hash.find(77), home);
    for load in &mut hash.loads {
        *load = 10;
    }
    // mean 10.25, bound 13: eleven are not.
    assert_eq!(hash.find(77), home);
}

#[test]
fn a_replica_has_its_share_of_the_ring() {
    let hash = PrefixHash::new(4);
    let mut counts = [0; 4];
    for head in 0..4000 {
        counts[hash.find(mix(head))] += 1;
    }
    assert!(
        counts.iter().all(|count| (700..1300).contains(count)),
        "{counts:?}"
    );
}
