//! What a block takes in memory beside its pages: record, key, tables and policy, as the program's
//! allocator would round them, counted after the store was turned over many times.
#![expect(unsafe_code, reason = "an allocator that counts")]
#![expect(clippy::expect_used, reason = "a test")]

use onefill_evict::Choice;
use onefill_store::{
    Namespace, Namespaces,
    catalog::{Attributes, Catalog, Limits, Put, RECORD_BYTES, Stored},
    disk::{ENTRY_BYTES, Index, Place},
    memory::Arena,
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::{
        Arc,
        atomic::{AtomicIsize, Ordering::Relaxed},
    },
};

struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);

/// What mimalloc takes for so many bytes: classes of 16 bytes up to 128, then four to a doubling.
fn rounded(size: usize) -> isize {
    let step = match size {
        0..=128 => 16,
        _ => (size - 1).next_power_of_two() / 8,
    };
    size.next_multiple_of(step.max(16)).cast_signed()
}

// SAFETY: all is handed to the system's allocator; beside it only a number changes.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(rounded(layout.size()), Relaxed);
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(rounded(layout.size()), Relaxed);
        // SAFETY: as above. It leaves the arena's pages untouched.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(rounded(layout.size()), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Blocks before and after those that are counted. So many that tables are at their worst: they have
/// just doubled.
const FEW: usize = 1 << 10;
const MANY: usize = 30_000;
/// Blocks that come and go in between, more than the store remembers.
const CHURN: usize = 66_000;
const LAYOUT: onefill_wire::lm::Layout = onefill_wire::lm::Layout {
    format: 1,
    dtype: 3,
    shape: [2, 32, 256, 1024],
    location: 0,
};

/// A key as LMCache makes them: 101 bytes.
fn key(number: usize) -> Vec<u8> {
    let hash = [number as u64; 4].map(|part| part.wrapping_mul(0xd1b5_4a32_d192_ed03));
    let [a, b, c, d] = hash;
    format!("meta-llama/Llama-3.1-8B@1@0@{a:016x}{b:016x}{c:016x}{d:016x}@bfloat16").into_bytes()
}

struct World {
    arena: Arena,
    catalog: Catalog,
    namespace: Arc<Namespace>,
    attributes: Attributes,
    next: usize,
}

impl World {
    fn new(choice: Choice) -> Self {
        let limits = Limits {
            record_bytes_max: usize::MAX,
            leased_pages_max: 0,
        };
        let namespace = Namespaces::default().open("n", None).expect("one");
        Self {
            arena: Arena::new((MANY + 1) << 12),
            catalog: Catalog::new(choice.build(), limits),
            namespace: Arc::clone(&namespace),
            attributes: namespace.share(Attributes::Lm(Arc::new(LAYOUT))),
            next: 0,
        }
    }

    fn put(&mut self) {
        let mut draft = self.arena.draft(65).expect("a page");
        draft.copy_from(&[7; 65]);
        let stored = Arc::new(Stored {
            block: draft.finish().expect("whole"),
            attributes: self.attributes.clone(),
        });
        let (id, put) = (self.namespace.id, Put::default());
        self.catalog.insert(id, &key(self.next), stored, &put, 0);
        self.next += 1;
    }

    fn churn(&mut self, count: usize) {
        for _ in 0..count {
            self.put();
            drop(self.catalog.evict(0));
        }
    }
}

/// Bytes a block with a policy.
fn bytes_of(choice: Choice) -> f64 {
    let mut world = World::new(choice);
    (0..FEW).for_each(|_| world.put());
    world.churn(CHURN);
    let (live, blocks) = (LIVE.load(Relaxed), world.catalog.len());
    while world.catalog.len() < MANY {
        world.put();
    }
    world.churn(MANY);
    let more = world.catalog.len() - blocks;
    (LIVE.load(Relaxed) - live) as f64 / more as f64
}

#[test]
fn a_block_takes_what_it_is_charged() {
    const { assert!(RECORD_BYTES <= 200) };
    for choice in Choice::ALL {
        let bytes = bytes_of(choice);
        println!("{}: {bytes:.1} bytes", choice.name());
        assert!(
            bytes <= RECORD_BYTES as f64,
            "{}: {bytes:.1}",
            choice.name()
        );
    }
    let bytes = bytes_on_disk();
    println!("a block on disk: {bytes:.1} bytes");
    assert!(bytes <= ENTRY_BYTES as f64, "{bytes:.1}");
}

fn bytes_on_disk() -> f64 {
    let live = LIVE.load(Relaxed);
    let mut index = Index::default();
    let namespace = Namespaces::default().open("n", None).expect("one");
    let attributes = namespace.share(Attributes::Lm(Arc::new(LAYOUT)));
    for number in 0..MANY {
        let place = Place {
            segment: 1,
            header: 512,
            at: number as u64 * 1024,
            len: 65,
            sum: 1,
            serial: number as u64,
            expires_unix_ms: 0,
            attributes: attributes.clone(),
        };
        index.insert(namespace.id, &key(number), &place);
    }
    (LIVE.load(Relaxed) - live) as f64 / MANY as f64
}
