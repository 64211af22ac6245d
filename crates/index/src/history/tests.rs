use super::*;
use onefill_kv::ContentHash;

fn chain(contents: &[u64]) -> Vec<BlockKey> {
    let mut key = BlockKey(0);
    let extend = |content: &u64| {
        key = key.extend(ContentHash(*content));
        key
    };
    contents.iter().map(extend).collect()
}

#[test]
fn overlap_counts_leading_blocks() {
    let mut history = History::new(10);
    history.touch(&chain(&[1, 2, 3]), Duration::ZERO);
    assert_eq!(history.overlap(&chain(&[1, 2, 3, 4])), 3);
    assert_eq!(history.overlap(&chain(&[1, 9, 3])), 1);
    assert_eq!(history.overlap(&chain(&[9])), 0);
}

#[test]
fn tails_of_the_least_recent_chain_leave_first() {
    let mut history = History::new(5);
    history.touch(&chain(&[1, 2, 3]), Duration::ZERO);
    history.touch(&chain(&[1, 7, 8, 9]), Duration::ZERO);
    assert_eq!(history.len(), 5);
    assert_eq!(
        history.overlap(&chain(&[1, 2, 3])),
        2,
        "the tail left, the shared head stayed"
    );
    assert_eq!(history.overlap(&chain(&[1, 7, 8, 9])), 4);
}

#[test]
fn it_equals_a_literal_lru_on_random_chains() {
    let mut state = 1_u64;
    let mut random = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % below
    };
    let mut history = History::new(40);
    let mut literal: Vec<BlockKey> = Vec::new(); // oldest first
    for _ in 0..3000 {
        let contents: Vec<u64> = (0..1 + random(12)).map(|_| random(3)).collect();
        let chain = chain(&contents);
        let want = chain.iter().take_while(|key| literal.contains(key)).count();
        assert_eq!(history.overlap(&chain) as usize, want);
        history.touch(&chain, Duration::ZERO);
        for key in chain.iter().rev() {
            literal.retain(|held| held != key);
            literal.push(*key);
        }
        let surplus = literal.len().saturating_sub(40);
        literal.drain(..surplus);
        assert_eq!(history.len(), literal.len());
    }
}

#[test]
fn the_next_to_leave_has_been_idle_since_its_last_touch() {
    let seconds = Duration::from_secs;
    let mut history = History::new(4);
    history.touch(&chain(&[1, 2]), seconds(1));
    history.touch(&chain(&[7, 8]), seconds(3));
    assert_eq!(history.idle(0, seconds(9)), None, "there is room");
    assert_eq!(history.idle(1, seconds(9)), Some(seconds(8)));
    history.touch(&chain(&[1, 2]), seconds(5));
    assert_eq!(history.idle(1, seconds(9)), Some(seconds(6)));
}

#[test]
fn groups_follow_one_another_and_grow_to_a_thirty_second_of_where_they_are() {
    let mut end = 0;
    for number in 0..400 {
        let (next, blocks) = group(number);
        assert_eq!(next, end + blocks as usize, "group {number} follows");
        assert!(blocks == 1 || blocks as usize * GROUPS <= end, "{number}");
        for chain in end..next {
            assert_eq!(groups(chain), number, "a chain of {chain} blocks");
        }
        end = next;
    }
}

#[test]
fn a_long_chain_is_remembered_but_for_a_thirty_second() {
    let contents: Vec<u64> = (0..6250).collect();
    let mut history = History::new(20_000);
    history.touch(&chain(&contents), Duration::ZERO);
    assert!(history.places.len() < 300, "{}", history.places.len());
    for shared in [0, 1, 63, 64, 65, 500, 4097, 6250] {
        let mut other = contents.clone();
        other[shared..].fill(u64::MAX);
        let found = history.overlap(&chain(&other)) as usize;
        assert!(found <= shared, "never more than was sent");
        assert!(found + shared / GROUPS >= shared, "{found} of {shared}");
    }
    assert!(history.len() <= 6250 && history.len() > 6000);
}

#[test]
fn long_chains_leave_by_their_blocks() {
    let mut history = History::new(1000);
    let (old, new): (Vec<u64>, Vec<u64>) = ((0..900).collect(), (5000..5700).collect());
    history.touch(&chain(&old), Duration::ZERO);
    history.touch(&chain(&new), Duration::ZERO);
    assert!(history.len() <= 1000);
    let (old, new) = (history.overlap(&chain(&old)), history.overlap(&chain(&new)));
    assert!(new >= 680, "the new one is whole: {new}");
    assert!((260..=320).contains(&old), "the old one's head: {old}");
}
