//! Snapshots that can't be used, are partly of no use, or are too large.

use onefill_kv::{BlockKey, EngineHash, ReplicaId, Tier};
use xxhash_rust::xxh3::xxh3_64;

use super::{LoadError, SavedReplica, load};
use crate::{Block, IndexConfig, IndexReader, IndexWriter, Overlaps, Parent, index};

const ROOT: BlockKey = BlockKey(0x5eed);
const IDENTITY: u64 = 42;

fn block(number: u64) -> Block {
    Block {
        hash: EngineHash(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        content: onefill_kv::ContentHash(number),
    }
}

/// Blocks of a chain that parts from chain 0 after `shared` blocks.
fn chain(number: u64, shared: u64, blocks: u64) -> Vec<Block> {
    let own = |at: u64| if at < shared { at } else { number << 32 | at };
    (0..blocks).map(|at| block(own(at))).collect()
}

fn keys(chain: &[Block]) -> Vec<BlockKey> {
    let mut key = ROOT;
    let next = |block: &Block| {
        key = key.extend(block.content);
        key
    };
    chain.iter().map(next).collect()
}

/// Three replicas with a few chains, holes, second copies and an orphan.
fn filled() -> IndexWriter {
    let (mut writer, _) = index(&IndexConfig::default());
    for number in 0..30 {
        let (replica, blocks) = (ReplicaId(number % 3), chain(number.into(), 20, 50));
        writer.stored(replica, Tier::Gpu, Parent::Root(ROOT), &blocks);
        writer.stored(replica, Tier::Cpu, Parent::Root(ROOT), &blocks[..10]);
        writer.removed(replica, Tier::Gpu, &[blocks[45].hash]);
    }
    let lost = Parent::Hash(EngineHash(7));
    writer.stored(ReplicaId(1), Tier::Gpu, lost, &[block(1 << 50)]);
    writer
}

const NAMES: [&str; 3] = ["a", "b", "c"];

fn saved(writer: &mut IndexWriter) -> Vec<u8> {
    let replicas = [0, 1, 2].map(|at| SavedReplica {
        replica: ReplicaId(at),
        name: NAMES[usize::from(at)],
        mark: 100 + u64::from(at),
    });
    let mut bytes = Vec::new();
    writer.save(IDENTITY, &replicas, &mut bytes);
    bytes
}

fn load_all(bytes: &[u8]) -> Result<(IndexWriter, IndexReader), LoadError> {
    load(&IndexConfig::default(), IDENTITY, bytes, &mut |saved| {
        Some(saved.replica)
    })
}

fn refusal(bytes: &[u8]) -> Option<LoadError> {
    load_all(bytes).err()
}

fn depth(reader: &IndexReader, chain: &[Block], replica: u16) -> [u32; 4] {
    let mut out = Overlaps::default();
    reader.lookup(&keys(chain), &mut out);
    out.get(ReplicaId(replica)).depth
}

#[test]
fn replicas_come_back_under_other_numbers_or_not_at_all() {
    let mut writer = filled();
    let bytes = saved(&mut writer);
    let mut marks = Vec::new();
    let now = |name: &str| match name {
        "a" => Some(ReplicaId(9)),
        "b" => Some(ReplicaId(0)),
        _ => None,
    };
    let loaded = load(&IndexConfig::default(), IDENTITY, &bytes, &mut |saved| {
        marks.push((saved.name.to_owned(), saved.mark));
        now(saved.name)
    });
    let (loaded, reader) = loaded.expect("the bytes are whole");
    let marks: Vec<_> = marks
        .iter()
        .map(|(name, mark)| (name.as_str(), *mark))
        .collect();
    assert_eq!(marks, [("a", 100), ("b", 101), ("c", 102)]);
    for number in 0..30_u16 {
        let chain = chain(number.into(), 20, 50);
        let (a, b) = (depth(&reader, &chain, 9), depth(&reader, &chain, 0));
        let of = if number % 3 == 0 { a } else { b };
        assert_eq!(
            of[0],
            if number % 3 == 2 { 20 } else { 45 },
            "chain {number}"
        );
        assert_eq!(depth(&reader, &chain, 2), [0; 4]);
    }
    for tier in [Tier::Gpu, Tier::Cpu] {
        assert_eq!(
            loaded.held(ReplicaId(9), tier),
            writer.held(ReplicaId(0), tier)
        );
        assert_eq!(loaded.held(ReplicaId(2), tier), 0);
    }
    // What only the lost replica held is gone, names and all.
    let (before, after) = (writer.stats(), loaded.stats());
    assert_eq!(after.blocks, before.blocks - 10 * 30);
    assert_eq!(after.orphans, 1);
}

#[test]
fn bytes_that_are_not_right_are_refused_with_the_reason() {
    let bytes = saved(&mut filled());
    assert_eq!(refusal(b""), Some(LoadError::NotASnapshot));
    assert_eq!(
        refusal(b"something else, but long enough"),
        Some(LoadError::NotASnapshot)
    );
    assert_eq!(refusal(&bytes[..bytes.len() - 1]), Some(LoadError::Damaged));
    for at in (12..bytes.len()).step_by(97) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert_eq!(refusal(&damaged), Some(LoadError::Damaged), "byte {at}");
    }
    let mut newer = bytes.clone();
    newer[8] = 2;
    assert_eq!(refusal(&newer), Some(LoadError::OtherVersion { found: 2 }));
    let other = load(&IndexConfig::default(), 43, &bytes, &mut |saved| {
        Some(saved.replica)
    });
    assert_eq!(other.err(), Some(LoadError::OtherIdentity));
    assert_eq!(refusal(&bytes), None);
}

#[test]
fn no_bytes_make_it_panic() {
    let bytes = saved(&mut filled());
    let (mut refused, mut taken) = (0, 0);
    for at in 12..bytes.len() - 8 {
        for value in [0, 1, 0x7f, 0xff] {
            if at > 2000 && at % 13 != usize::from(value) % 13 {
                continue;
            }
            let mut odd = bytes.clone();
            odd[at] = value;
            let body = odd.len() - 8;
            let sum = xxh3_64(&odd[..body]);
            odd[body..].copy_from_slice(&sum.to_le_bytes());
            match load_all(&odd) {
                Ok((mut writer, reader)) => {
                    taken += 1;
                    depth(&reader, &chain(3, 20, 50), 0);
                    writer.removed(ReplicaId(0), Tier::Gpu, &[block(3).hash]);
                    (0..3).for_each(|number| writer.cleared(ReplicaId(number)));
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(
        refused > 50 && taken > 50,
        "{refused} refused, {taken} taken"
    );
}

#[test]
fn what_has_no_room_is_dropped_and_counted() {
    let (mut writer, _) = index(&IndexConfig::default());
    let long: Vec<Block> = (0..100_000).map(|at| block(1 << 40 | at)).collect();
    for (number, part) in long.chunks(50).enumerate() {
        let replica = ReplicaId(number as u16 % 3);
        writer.stored(
            replica,
            Tier::Gpu,
            Parent::Root(BlockKey(number as u64)),
            part,
        );
    }
    let bytes = saved(&mut writer);
    let small = IndexConfig {
        memory_bytes_max: 1 << 20,
        ..IndexConfig::default()
    };
    let loaded = load(&small, IDENTITY, &bytes, &mut |saved| Some(saved.replica));
    let (mut loaded, reader) = loaded.expect("the bytes are whole");
    loaded.stored(ReplicaId(0), Tier::Gpu, Parent::Root(ROOT), &long[..1]);
    let stats = loaded.stats();
    assert!(stats.dropped > 0 && stats.blocks > 1000, "{stats:?}");
    assert_eq!(stats.dropped + stats.blocks, 100_001);
    assert_eq!(depth(&reader, &long[..1], 0)[0], 1);
}
