//! First keys of runs -> runs: a table that grows by one bucket at a time (linear hashing, Litwin
//! 1980), so that no growth stops the writer and readers need no lock.
//!
//! A bucket is one line: seven entries (40 bits of the key's hash, 24 bits of the run's number + 1)
//! and the number of a line with more. Keys are chained, so a first key names its run in the whole
//! fleet: roots and children at any offset are found alike.
//!
//! A split copies the entries that move, makes the new bucket known (`buckets`), then drops the
//! old ones. A reader that missed checks whether `buckets` changed under it and looks again.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use onefill_kv::BlockKey;

use crate::heap::Heap;
use crate::memory::{LINE_WORDS, Line, Memory, Numbered};
use crate::prefetch;

const ENTRIES: usize = LINE_WORDS - 1;
const LINK: usize = ENTRIES;
const RUN_BITS: u32 = 24;
/// Entries a bucket on average, at most.
const LOAD: u64 = 4;

/// The table.
#[derive(Debug)]
pub(crate) struct Heads {
    lines: Numbered,
    /// Buckets in use.
    buckets: AtomicU64,
    /// Entries in use. Writer only.
    entries: AtomicU64,
}

fn mix(key: BlockKey) -> u64 {
    let product = key.0.wrapping_mul(0x9fb2_1c65_1e98_df25);
    product ^ (product >> 32)
}

fn entry(hash: u64, run: u32) -> u64 {
    (hash & !((1 << RUN_BITS) - 1)) | u64::from(run + 1)
}

fn run_of(entry: u64) -> u32 {
    (entry & ((1 << RUN_BITS) - 1)) as u32 - 1
}

fn same_tag(entry: u64, hash: u64) -> bool {
    (entry ^ hash) >> RUN_BITS == 0 && entry != 0
}

fn bucket(hash: u64, buckets: u64) -> u32 {
    // Bits that the entry keeps, so that a split needs nothing else.
    let bits = hash >> RUN_BITS;
    let round = buckets.next_power_of_two();
    let wide = bits & (round - 1);
    (if wide < buckets {
        wide
    } else {
        wide & (round / 2 - 1)
    }) as u32
}

impl Heads {
    pub(crate) fn new(lines_max: usize) -> Self {
        Self {
            lines: Numbered::new(lines_max.min(1 << RUN_BITS)),
            buckets: AtomicU64::new(1),
            entries: AtomicU64::new(0),
        }
    }

    /// Its lines.
    pub(crate) fn lines(&self) -> &Numbered {
        &self.lines
    }

    /// The run that starts with `key`; `is` checks a candidate.
    #[inline]
    pub(crate) fn find(
        &self,
        bulk: &Memory,
        key: BlockKey,
        is: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let hash = mix(key);
        let mut buckets = self.buckets.load(Ordering::Acquire);
        loop {
            let mut line = self.lines.line(bulk, bucket(hash, buckets));
            loop {
                for word in &line.0[..ENTRIES] {
                    let entry = word.load(Ordering::Acquire);
                    if same_tag(entry, hash) && is(run_of(entry)) {
                        return Some(run_of(entry));
                    }
                }
                match line.0[LINK].load(Ordering::Acquire) {
                    0 => break,
                    more => line = bulk.line(more as u32),
                }
            }
            fence(Ordering::Acquire);
            let now = self.buckets.load(Ordering::Relaxed);
            if now == buckets {
                return None;
            }
            buckets = now; // the writer went on: so can we
        }
    }

    /// A run that starts with `key` will be asked for.
    #[inline]
    pub(crate) fn expect(&self, bulk: &Memory, key: BlockKey) {
        let first = bucket(mix(key), self.buckets.load(Ordering::Acquire));
        prefetch::line(self.lines.line(bulk, first));
    }

    /// Adds a run. False where memory is spent. Writer only.
    pub(crate) fn insert(&self, bulk: &Memory, heap: &mut Heap, key: BlockKey, run: u32) -> bool {
        let entries = self.entries.load(Ordering::Relaxed) + 1;
        if entries > LOAD * self.buckets.load(Ordering::Relaxed) {
            self.split(bulk, heap);
        }
        let hash = mix(key);
        let first = bucket(hash, self.buckets.load(Ordering::Relaxed));
        let put =
            self.lines.reserve(bulk, heap, first) && self.put(bulk, heap, first, entry(hash, run));
        if put {
            self.entries.store(entries, Ordering::Relaxed);
        }
        put
    }

    /// Takes a run out. Writer only.
    pub(crate) fn remove(&self, bulk: &Memory, key: BlockKey, run: u32) {
        let hash = mix(key);
        let first = bucket(hash, self.buckets.load(Ordering::Relaxed));
        let gone = entry(hash, run);
        let words = self.chain(bulk, first).flat_map(|line| &line.0[..ENTRIES]);
        if let Some(word) = words
            .into_iter()
            .find(|word| word.load(Ordering::Relaxed) == gone)
        {
            word.store(0, Ordering::Release);
            self.entries.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn chain<'a>(&'a self, bulk: &'a Memory, first: u32) -> impl Iterator<Item = &'a Line> {
        std::iter::successors(Some(self.lines.line(bulk, first)), move |line| {
            match line.0[LINK].load(Ordering::Relaxed) {
                0 => None,
                more => Some(bulk.line(more as u32)),
            }
        })
    }

    fn put(&self, bulk: &Memory, heap: &mut Heap, first: u32, entry: u64) -> bool {
        let mut last = self.lines.line(bulk, first);
        for line in self.chain(bulk, first) {
            let free = line.0[..ENTRIES]
                .iter()
                .find(|word| word.load(Ordering::Relaxed) == 0);
            if let Some(word) = free {
                word.store(entry, Ordering::Release);
                return true;
            }
            last = line;
        }
        let Some(more) = heap.take(bulk, 1) else {
            return false;
        };
        let line = bulk.line(more.line);
        line.0
            .iter()
            .for_each(|word| word.store(0, Ordering::Relaxed));
        line.0[0].store(entry, Ordering::Relaxed);
        last.0[LINK].store(u64::from(more.line), Ordering::Release);
        true
    }

    /// Splits the bucket whose turn it is; does nothing where memory is spent.
    fn split(&self, bulk: &Memory, heap: &mut Heap) {
        let buckets = self.buckets.load(Ordering::Relaxed);
        let new = buckets as u32;
        if buckets as usize >= self.lines.lines_max() || !self.lines.reserve(bulk, heap, new) {
            return;
        }
        let old = new & ((buckets + 1).next_power_of_two() as u32 / 2 - 1);
        let moves = |word: &&AtomicU64| {
            let entry = word.load(Ordering::Relaxed);
            entry != 0 && bucket(entry, buckets + 1) == new
        };
        let moving = || {
            self.chain(bulk, old)
                .flat_map(|line| &line.0[..ENTRIES])
                .filter(moves)
        };
        if !moving().all(|word| self.put(bulk, heap, new, word.load(Ordering::Relaxed))) {
            let copied = self.chain(bulk, new).flat_map(|line| &line.0[..ENTRIES]);
            copied.for_each(|word| word.store(0, Ordering::Relaxed));
            return;
        }
        self.buckets.store(buckets + 1, Ordering::Release);
        fence(Ordering::Release);
        moving().for_each(|word| word.store(0, Ordering::Relaxed));
    }
}
