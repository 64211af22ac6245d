use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

fn filled(arena: &Arena, len: usize, byte: u8) -> Option<Block> {
    let mut draft = arena.draft(len)?;
    while draft.missing() > 0 {
        let room = draft.room(5000);
        room.fill(byte);
        let count = room.len();
        draft.advance(count);
    }
    draft.finish()
}

fn is_whole(block: &Block) -> bool {
    let mut check = block.check();
    loop {
        if let Some(verdict) = check.step(3000) {
            return verdict;
        }
    }
}

#[test]
fn a_block_of_several_runs_reads_as_it_was_written() {
    let arena = Arena::new(8 * PAGE);
    let mut blocks: Vec<Block> = (0..8)
        .filter_map(|byte| filled(&arena, PAGE, byte))
        .collect();
    assert_eq!(arena.free_pages(), 0);
    // Every second page comes free: three pages are there, but in three runs.
    for index in [6, 4, 2] {
        blocks.remove(index);
    }
    let mut draft = arena.draft(3 * PAGE - 100).unwrap();
    let bytes: Vec<u8> = (0..3 * PAGE - 100).map(|at| (at % 251) as u8).collect();
    assert_eq!(draft.copy_from(&bytes), bytes.len());
    let block = draft.finish().unwrap();
    let read: Vec<u8> = block
        .slices(0, block.len())
        .flat_map(|slice| slice.to_vec())
        .collect();
    assert_eq!(read, bytes);
    assert_eq!(block.slices(0, block.len()).count(), 3);
    assert!(is_whole(&block));
    assert_eq!(
        block.checksum(),
        twox_hash::XxHash3_128::oneshot(&bytes),
        "runs don't matter to the checksum"
    );
}

#[test]
fn a_flipped_bit_is_seen() {
    let arena = Arena::new(4 * PAGE);
    for len in [1, INLINE_MAX, INLINE_MAX + 1, 3 * PAGE] {
        let mut block = filled(&arena, len, 7).unwrap();
        assert!(is_whole(&block));
        block.corrupt();
        assert!(!is_whole(&block));
    }
}

#[test]
fn half_a_draft_is_no_block() {
    let arena = Arena::new(4 * PAGE);
    let mut draft = arena.draft(1000).unwrap();
    draft.copy_from(&[1; 999]);
    assert!(draft.finish().is_none());
    assert_eq!(arena.free_pages(), 4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// No two blocks share a page, none is lost, and what is free joins again.
    #[test]
    fn pages_have_one_owner(steps in proptest::collection::vec((0usize..6, 1usize..40_000, any::<u8>()), 1..80)) {
        let arena = Arena::new(32 * PAGE);
        let mut blocks: HashMap<usize, (Block, u8)> = HashMap::new();
        for (slot, len, byte) in steps {
            blocks.remove(&slot);
            let taken: usize = blocks.values().map(|(block, _)| block.pages()).sum();
            prop_assert_eq!(arena.free_pages() + taken, 32);
            if let Some(block) = filled(&arena, len, byte) {
                blocks.insert(slot, (block, byte));
            } else {
                prop_assert!(taken + Draft::pages(len) > 32);
            }
            for (block, byte) in blocks.values() {
                prop_assert!(block.slices(0, block.len()).all(|part| part.iter().all(|b| b == byte)));
            }
        }
        blocks.clear();
        prop_assert!(arena.draft(32 * PAGE).is_some_and(|draft| draft.finish().is_none()));
    }
}
