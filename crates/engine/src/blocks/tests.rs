use super::*;

fn digest(number: u8) -> Digest {
    Digest::from([number; 32])
}

/// Takes so many blocks; gives what was evicted.
fn take(cache: &mut BlockCache, count: usize) -> (Vec<BlockId>, Vec<Digest>) {
    let mut evicted = Vec::new();
    let blocks = (0..count)
        .map(|_| cache.take(&mut evicted).expect("a free block"))
        .collect();
    (blocks, evicted)
}

#[test]
fn a_request_is_evicted_tail_first_and_nameless_blocks_go_before_all() {
    let mut cache = BlockCache::new(5); // four for requests
    let (blocks, _) = take(&mut cache, 3);
    cache.name(blocks[0], digest(1));
    cache.name(blocks[1], digest(2));
    cache.release(&blocks);
    // The nameless tail, the block never used, then the named ones from their last.
    let (again, evicted) = take(&mut cache, 4);
    assert_eq!(again, [blocks[2], 4, blocks[1], blocks[0]]);
    assert_eq!(evicted, [digest(2), digest(1)]);
    assert_eq!(cache.find(&digest(1)), None);
    assert_eq!(cache.take(&mut Vec::new()), None, "block 0 is nobody's");
}

#[test]
fn a_block_in_use_again_is_not_evicted() {
    let mut cache = BlockCache::new(4);
    let (blocks, _) = take(&mut cache, 3);
    for (block, number) in blocks.iter().zip(1..) {
        cache.name(*block, digest(number));
    }
    cache.release(&blocks);
    cache.share(cache.find(&digest(3)).expect("held"));
    assert_eq!(cache.free(), 2);
    let (_, evicted) = take(&mut cache, 2);
    assert_eq!(evicted, [digest(2), digest(1)]);
    assert!(cache.find(&digest(3)).is_some());
    assert!((cache.usage() - 1.0).abs() < 1e-9);
}

#[test]
fn of_two_equal_blocks_each_is_evicted_for_itself() {
    let mut cache = BlockCache::new(3);
    let (blocks, _) = take(&mut cache, 2);
    blocks
        .iter()
        .for_each(|block| cache.name(*block, digest(7)));
    assert_eq!(cache.find(&digest(7)), Some(blocks[0]), "the first counts");
    cache.release(&blocks[..1]);
    assert_eq!(take(&mut cache, 1).1, [digest(7)]);
    assert_eq!(cache.find(&digest(7)), Some(blocks[1]));
    cache.release(&blocks[1..]);
    assert_eq!(take(&mut cache, 1).1, [digest(7)]);
    assert_eq!(cache.find(&digest(7)), None);
}

#[test]
fn a_cache_in_use_is_not_cleared() {
    let mut cache = BlockCache::new(3);
    let (blocks, _) = take(&mut cache, 1);
    cache.name(blocks[0], digest(1));
    assert!(!cache.clear());
    assert!(cache.find(&digest(1)).is_some());
    cache.release(&blocks);
    assert!(cache.clear());
    assert_eq!(cache.find(&digest(1)), None);
    assert_eq!(take(&mut cache, 2).1, [], "what was cleared is not evicted");
}

#[test]
fn a_shared_block_stays_until_its_last_user_is_gone() {
    let mut cache = BlockCache::new(2);
    let (blocks, _) = take(&mut cache, 1);
    cache.name(blocks[0], digest(1));
    cache.share(blocks[0]);
    cache.release(&blocks);
    assert_eq!(cache.free(), 0);
    assert!(!cache.is_free(blocks[0]));
    cache.release(&blocks);
    assert_eq!(cache.free(), 1);
}
