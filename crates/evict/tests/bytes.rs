//! What a policy takes for a block that is there, ghosts and chains included: counted by the
//! allocator.
#![expect(unsafe_code, reason = "an allocator that counts")]
#![expect(clippy::expect_used, reason = "a test")]

use onefill_evict::{BlockId, Choice, Facts};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicIsize, Ordering::Relaxed},
};

struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);

// SAFETY: all is handed to the system's allocator; beside it only a number changes.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Relaxed);
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const BLOCKS: u32 = 1 << 16;
const BYTES_MAX: f64 = 40.0;

fn fingerprint(number: u32) -> u64 {
    u64::from(number).wrapping_mul(0xd1b5_4a32_d192_ed03)
}

/// Bytes a block after the cache was turned over many times by chains of so many blocks.
fn bytes_of(choice: Choice, chain: u32) -> f64 {
    let before = LIVE.load(Relaxed);
    let mut policy = choice.build();
    let mut free: Vec<BlockId> = Vec::with_capacity(BLOCKS as usize);
    free.extend(0..BLOCKS);
    let mut names = vec![0; BLOCKS as usize];
    let own = (free.capacity() + names.len()) * size_of::<BlockId>();
    let mut before_it = None;
    for number in 0..8 * BLOCKS {
        if free.is_empty() {
            let spared = before_it;
            let victim = policy.victim(&mut |id| Some(id) != spared);
            let victim = victim.expect("a victim");
            policy.removed(victim, Some(fingerprint(names[victim as usize])));
            free.push(victim);
        }
        let id = free.pop().expect("a number");
        let parent = before_it.filter(|_| number % chain > 0);
        let fingerprint = fingerprint(number);
        names[id as usize] = number;
        policy.inserted(
            id,
            Facts {
                fingerprint,
                parent,
            },
        );
        before_it = Some(id);
        if number % 3 == 0 {
            policy.touched(id);
        }
    }
    let live = LIVE.load(Relaxed) - before - own as isize;
    live as f64 / f64::from(BLOCKS)
}

#[test]
fn a_block_takes_at_most_40_bytes() {
    // Alone, as clients without chains put them, and in long chains.
    for (choice, chain) in [
        (Choice::Lru, 1),
        (Choice::Lru, 64),
        (Choice::Density, 1),
        (Choice::Density, 64),
        (Choice::S3Fifo, 1),
        (Choice::S3Fifo, 64),
    ] {
        let bytes = bytes_of(choice, chain);
        println!("{}, chains of {chain}: {bytes:.1} bytes", choice.name());
        assert!(bytes <= BYTES_MAX, "{}: {bytes:.1}", choice.name());
    }
}
