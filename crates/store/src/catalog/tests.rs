use super::*;
use crate::{memory::Arena, namespace::NamespaceId};
use onefill_evict::Choice;
use std::sync::Arc;

const A: NamespaceId = NamespaceId(0);
const B: NamespaceId = NamespaceId(1);

struct World {
    arena: Arena,
    catalog: Catalog,
}

fn world(leased_pages_max: usize) -> World {
    let limits = Limits {
        record_bytes_max: 1 << 20,
        leased_pages_max,
    };
    World {
        arena: Arena::new(64 << 12),
        catalog: Catalog::new(Choice::Lru.build(), limits),
    }
}

impl World {
    fn stored(&self, text: &str) -> Arc<Stored> {
        let mut draft = self.arena.draft(text.len().max(100)).unwrap();
        draft.copy_from(text.as_bytes());
        draft.copy_from(&[0; 100]);
        Arc::new(Stored {
            block: draft.finish().unwrap(),
            attributes: Attributes::None,
        })
    }

    fn put(&mut self, namespace: NamespaceId, key: &str, text: &str, put: &Put) -> Inserted {
        let stored = self.stored(text);
        self.catalog
            .insert(namespace, key.as_bytes(), stored, put, 0)
    }

    fn has(&mut self, namespace: NamespaceId, key: &str, now_ms: u64) -> bool {
        self.catalog.get(namespace, key.as_bytes(), now_ms).is_ok()
    }
}

#[test]
fn one_key_in_two_namespaces_is_two_blocks() {
    let mut world = world(8);
    assert_eq!(world.put(A, "k", "a", &Put::default()), Inserted::New);
    assert!(!world.has(B, "k", 0));
    assert_eq!(world.put(B, "k", "b", &Put::default()), Inserted::New);
    assert_eq!(world.put(A, "k", "a", &Put::default()), Inserted::Same);
    assert_eq!(world.put(A, "k", "x", &Put::default()), Inserted::Replaced);
    assert!(world.catalog.remove(A, b"k", Gone::Deleted, 0).is_some());
    assert!(world.has(B, "k", 0));
    assert_eq!(world.catalog.scan(A, 0, 10, 0).keys.len(), 0);
    assert_eq!(world.catalog.scan(B, 0, 10, 0).keys.len(), 1);
    assert_eq!(
        (world.catalog.count(A).blocks, world.catalog.count(B).blocks),
        (0, 1)
    );
}

#[test]
fn a_promised_block_stays_until_it_is_fetched_or_the_time_is_over() {
    let mut world = world(8);
    world.put(A, "k", "a", &Put::default());
    assert_eq!(world.catalog.promise(A, b"k", 1000, 0), Some(100));
    assert!(world.catalog.evict(999).is_none());
    assert!(world.has(A, "k", 999));
    assert!(world.catalog.evict(999).is_some(), "fetched");

    world.put(A, "k", "a", &Put::default());
    world.catalog.promise(A, b"k", 1000, 0);
    assert_eq!(world.catalog.leased_pages(), 1);
    assert!(world.catalog.evict(1000).is_some(), "lapsed");
    assert_eq!(world.catalog.leased_pages(), 0);
}

#[test]
fn two_promises_want_two_fetches() {
    let mut world = world(8);
    world.put(A, "k", "a", &Put::default());
    world.catalog.promise(A, b"k", 1000, 0);
    world.catalog.promise(A, b"k", 1000, 0);
    assert!(world.has(A, "k", 1));
    assert!(world.catalog.evict(1).is_none());
    assert!(world.has(A, "k", 1));
    assert!(world.catalog.evict(1).is_some());
}

#[test]
fn promises_are_bounded() {
    let mut world = world(2);
    for key in ["a", "b", "c"] {
        world.put(A, key, key, &Put::default());
        world.catalog.promise(A, key.as_bytes(), 1000, 0);
    }
    assert_eq!(world.catalog.leased_pages(), 2);
    assert!(world.catalog.evict(0).is_some());
    assert!(world.catalog.evict(0).is_none());
}

#[test]
fn what_is_read_pinned_or_needed_stays() {
    let mut world = world(8);
    world.put(A, "head", "1", &Put::default());
    let chained = Put {
        parent: Some(b"head".as_slice().into()),
        ..Put::default()
    };
    world.put(A, "tail", "2", &chained);
    world.put(A, "pinned", "3", &Put::default());
    world.catalog.pin(A, b"pinned", true, 0);
    let reading = world.catalog.get(A, b"tail", 0).unwrap();
    assert!(world.catalog.evict(0).is_none());
    drop(reading);
    assert!(world.catalog.evict(0).is_some());
    assert_eq!(
        world.catalog.get(A, b"tail", 0).unwrap_err(),
        (Gone::Evicted, Some(100))
    );
    assert!(world.catalog.evict(0).is_some());
    assert!(world.has(A, "pinned", 0) && !world.has(A, "head", 0));
}

#[test]
fn ends_come() {
    let mut world = world(8);
    let brief = Put {
        expires_ms: Some(50),
        ..Put::default()
    };
    world.put(A, "k", "a", &brief);
    assert_eq!(world.catalog.ends(A, b"k", 0), Some(Some(50)));
    assert!(world.has(A, "k", 49));
    assert_eq!(world.catalog.get(A, b"k", 50).unwrap_err().0, Gone::Expired);
    world.put(A, "k", "a", &brief);
    assert!(world.catalog.expire(A, b"k", None, 0));
    assert_eq!(world.catalog.sweep(10, 1000), 0);
    world.put(A, "k", "a", &brief);
    assert_eq!(world.catalog.sweep(10, 1000), 1);
    assert!(world.catalog.is_empty());
    assert_eq!(world.arena.free_pages(), world.arena.pages());
}

#[test]
fn conditions_are_kept() {
    let mut world = world(8);
    let when = |condition| Put {
        condition,
        ..Put::default()
    };
    assert_eq!(
        world.put(A, "k", "a", &when(Condition::Present)),
        Inserted::Unmet
    );
    assert_eq!(
        world.put(A, "k", "a", &when(Condition::Absent)),
        Inserted::New
    );
    assert_eq!(
        world.put(A, "k", "b", &when(Condition::Absent)),
        Inserted::Unmet
    );
    assert_eq!(
        world.put(A, "k", "b", &when(Condition::Present)),
        Inserted::Replaced
    );
}

#[test]
fn a_corrupt_block_is_taken_out_but_not_its_successor() {
    let mut world = world(8);
    world.put(A, "k", "a", &Put::default());
    let bad = world.catalog.get(A, b"k", 0).unwrap();
    world.put(A, "k", "b", &Put::default());
    world.catalog.quarantine(A, b"k", &bad);
    let next = world.catalog.get(A, b"k", 0).unwrap();
    world.catalog.quarantine(A, b"k", &next);
    assert_eq!(world.catalog.get(A, b"k", 0).unwrap_err().0, Gone::Corrupt);
}

#[test]
fn what_has_gone_is_remembered_for_a_while() {
    let mut graves = graves::Graves::default();
    for hash in 0..70_000_u64 {
        graves.bury(hash, hash + 5, Gone::ALL[(hash % 5) as usize]);
    }
    assert_eq!(graves.find(69_999), (Gone::Corrupt, Some(70_004)));
    assert_eq!(graves.find(70_000 - 65_536).1, Some(4469));
    assert_eq!(
        graves.find(4463),
        (Gone::Absent, None),
        "the oldest are forgotten"
    );
    graves.rise(69_999);
    assert_eq!(graves.find(69_999), (Gone::Absent, None));
    graves.bury(50_000, 1, Gone::Evicted);
    graves.bury(50_000, 2, Gone::Deleted);
    assert_eq!(graves.find(50_000), (Gone::Deleted, Some(2)));
}
