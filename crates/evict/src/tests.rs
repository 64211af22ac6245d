use super::*;
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};

fn facts(fingerprint: u64, parent: Option<BlockId>) -> Facts {
    Facts {
        fingerprint,
        parent,
    }
}

#[test]
fn lru_proposes_what_was_used_longest_ago() {
    let mut lru = Lru::default();
    for id in 0..3 {
        lru.inserted(id, facts(u64::from(id), None));
    }
    lru.touched(0);
    assert_eq!(lru.victim(&mut |_| true), Some(1));
    assert_eq!(lru.victim(&mut |id| id != 1), Some(2));
    assert_eq!(lru.victim(&mut |_| false), None);
}

#[test]
fn a_chain_goes_from_its_end() {
    for choice in Choice::ALL {
        let mut policy = choice.build();
        policy.inserted(0, facts(0, None));
        policy.inserted(1, facts(1, Some(0)));
        policy.inserted(2, facts(2, Some(1)));
        let mut gone = Vec::new();
        while let Some(id) = policy.victim(&mut |_| true) {
            policy.removed(id, Some(u64::from(id)));
            gone.push(id);
        }
        assert_eq!(gone, [2, 1, 0], "{}", choice.name());
    }
}

#[test]
fn s3_fifo_keeps_what_came_back() {
    let mut policy = S3Fifo::default();
    policy.inserted(0, facts(100, None));
    policy.removed(0, Some(100));
    policy.inserted(0, facts(100, None)); // its ghost is there: main queue
    for id in 1..20 {
        policy.inserted(id, facts(u64::from(id), None));
    }
    for expected in 1..18 {
        assert_eq!(policy.victim(&mut |_| true), Some(expected));
        policy.removed(expected, Some(u64::from(expected)));
    }
}

proptest! {
    /// Whatever happens, a policy proposes only blocks that are there and that no other one needs,
    /// and all blocks can go in the end.
    #[test]
    fn proposals_are_leaves(
        choice in 0usize..3,
        steps in proptest::collection::vec((0u32..24, 0u8..4, 0u32..24), 1..300),
    ) {
        let mut policy = Choice::ALL[choice].build();
        let mut parents: HashMap<BlockId, Option<BlockId>> = HashMap::new();
        let leaf = |parents: &HashMap<BlockId, Option<BlockId>>, id: BlockId| {
            parents.values().all(|parent| *parent != Some(id))
        };
        for (id, step, parent) in steps {
            match step {
                0 if !parents.contains_key(&id) => {
                    let parent = Some(parent).filter(|p| parents.contains_key(p));
                    policy.inserted(id, facts(u64::from(id), parent));
                    parents.insert(id, parent);
                }
                1 if parents.contains_key(&id) => policy.touched(id),
                2 if parents.remove(&id).is_some() => {
                    for parent in parents.values_mut().filter(|parent| **parent == Some(id)) {
                        *parent = None;
                    }
                    policy.removed(id, None);
                }
                3 => {
                    if let Some(id) = policy.victim(&mut |_| true) {
                        prop_assert!(parents.contains_key(&id) && leaf(&parents, id));
                        parents.remove(&id);
                        policy.removed(id, Some(u64::from(id)));
                    } else {
                        prop_assert!(parents.is_empty());
                    }
                }
                _ => {}
            }
        }
        let mut gone = HashSet::new();
        while let Some(id) = policy.victim(&mut |_| true) {
            policy.removed(id, Some(u64::from(id)));
            gone.insert(id);
        }
        prop_assert_eq!(gone.len(), parents.len());
    }
}

fn fingerprint(name: u64) -> u64 {
    name.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Sessions that come again and again, among strangers that never do: many more than there is room.
fn sessions_kept(choice: Choice) -> f64 {
    const ROOM: usize = 400;
    let mut policy = choice.build();
    let mut there: HashMap<u64, BlockId> = HashMap::new();
    let mut names: Vec<u64> = vec![0; ROOM];
    let mut free: Vec<BlockId> = (0..ROOM as BlockId).collect();
    let (mut hits, mut asked) = (0, 0);
    for round in 0..4000_u64 {
        let session = round % 25 < 3;
        let chain = if session { round % 25 } else { 1000 + round };
        for block in 0..20_u64 {
            let name = chain * 100 + block;
            if session && round > 2000 {
                asked += 1;
                hits += u32::from(there.contains_key(&name));
            }
            if let Some(id) = there.get(&name) {
                policy.touched(*id);
                continue;
            }
            let parent = (block > 0)
                .then(|| there.get(&(name - 1)).copied())
                .flatten();
            if free.is_empty() {
                let victim = policy.victim(&mut |id| Some(id) != parent).expect("one");
                policy.removed(victim, Some(fingerprint(names[victim as usize])));
                there.remove(&names[victim as usize]);
                free.push(victim);
            }
            let id = free.pop().expect("a number");
            names[id as usize] = name;
            there.insert(name, id);
            policy.inserted(id, facts(fingerprint(name), parent));
        }
    }
    f64::from(hits) / f64::from(asked)
}

#[test]
fn density_learns_which_blocks_come_back() {
    // 25 prompts of 20 blocks from one of a session to its next: more than the cache holds.
    assert!(sessions_kept(Choice::Lru) < 0.1);
    assert!(sessions_kept(Choice::Density) > 0.9);
}

/// Of 200 blocks the later half is used while uses are counted beyond 32 bits.
fn go_on_beyond_32_bits<P: Policy + Default>(skip_to: fn(&mut P, u32)) {
    let mut policy = P::default();
    for id in 0..200 {
        policy.inserted(id, facts(u64::from(id), None));
    }
    skip_to(&mut policy, u32::MAX - 100);
    for id in (100..200).chain(150..200) {
        policy.touched(id);
    }
    let mut gone = Vec::new();
    while let Some(id) = policy.victim(&mut |_| true) {
        policy.removed(id, Some(u64::from(id)));
        gone.push(id);
    }
    assert_eq!(gone.len(), 200);
    assert!(
        gone[..100].iter().all(|id| *id < 100),
        "the oldest went first: {gone:?}"
    );
}

#[test]
fn uses_are_counted_on_beyond_32_bits() {
    go_on_beyond_32_bits(Density::skip_to);
    go_on_beyond_32_bits(Lru::skip_to);
}

proptest! {
    /// A heap gives what a sorted list gives, whatever comes, goes and is used.
    #[test]
    fn a_heap_is_an_order(steps in proptest::collection::vec((0u32..40, 0u8..3), 1..400)) {
        let (mut heap, mut uses) = (heap::Heap::default(), heap::Uses::default());
        let mut truth: HashMap<BlockId, u32> = HashMap::new();
        for (now, (id, step)) in steps.into_iter().enumerate() {
            let now = now as u32 + 1;
            match step {
                0 => {
                    if truth.remove(&id).is_some() {
                        prop_assert!(heap.remove(id, &mut uses));
                    }
                }
                1 if !truth.contains_key(&id) => {
                    // Some come with an old use, as a parent whose last child went.
                    let last = if id % 3 == 0 { now / 2 } else { now };
                    uses.set(id, last);
                    heap.insert(id, &mut uses);
                    truth.insert(id, last);
                }
                _ => {
                    if let Some(last) = truth.get_mut(&id) {
                        *last = now;
                        uses.set(id, now);
                        prop_assert!(heap.used(id, &mut uses));
                    }
                }
            }
            let mut sorted: Vec<u32> = truth.values().copied().collect();
            sorted.sort_unstable();
            let given: Vec<u32> = heap.iter(&uses).map(|id| uses.last(id)).collect();
            prop_assert_eq!(&given, &sorted);
            prop_assert_eq!(heap.first().map(|id| uses.last(id)), sorted.first().copied());
        }
    }
}
