//! A run: a maximal unbranched stretch of blocks, and who holds how much of it. One line:
//!
//! ```text
//! word 0  version:32 | child_end:16 | flags:16
//!      1  key of its first block; 0: no run here
//!      2  key of its last block (a hint: who reads it checks with the keys)
//!      3  keys: line:32 | lines:16 | blocks:16
//!      4  replicas that hold all of it on their GPU: 0:1 | a bit each of the first 63,
//!         or, where there are others,         1:1 | lines:15 of a larger set | 0:16 | line:32
//!      5  a span      6  a span
//!      7  more spans: line:32 | lines:16 | 0
//! span    1:1 | 0:7 | replica:16 | tier:8 | start:16 | end:16   (0: none here)
//! ```
//!
//! Coverage is the GPU bits and spans, `[start, end)` in blocks of the run, disjoint for each
//! (replica, tier). Runs never split: a hole is two spans, a child hangs at any block.
//!
//! **How readers stay right without waiting.** The writer changes a run by single stores each of
//! which leaves a state that was true before or is true after its event; where it must move
//! something, it first makes the new place known, then raises `version`, then drops the old place.
//! So a reader that saw one version before and after has seen no half of a move, and a writer that
//! is stopped anywhere stops nobody: only progress of the writer makes a reader look again.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use onefill_kv::{BlockKey, ReplicaId, Tier};

use crate::heap::Array;
use crate::memory::{Line, Memory, Words};

/// Most blocks of a run: offsets take twelve bits in [`crate::names`].
pub(crate) const RUN_BLOCKS_MAX: u16 = 4096;

/// Names of the run's blocks may be in the tables although nobody holds them.
pub(crate) const HAUNTED: u64 = 1;
/// Some holder has more than one copy of a block.
pub(crate) const COPIES: u64 = 2;
/// Stored to since the eviction hand came by.
pub(crate) const WARM: u64 = 4;

/// Replicas that have their bit in the run's own line.
pub(crate) const FEW: u16 = 63;

/// Replicas that hold all of a run on their GPU.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whole {
    /// A bit each, of the first [`FEW`].
    Few(u64),
    /// Where their bits lie.
    Many(Array),
}

/// Who holds, and where.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Holder {
    pub(crate) replica: ReplicaId,
    pub(crate) tier: Tier,
}

/// A contiguous stretch of a run that a holder holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span(u64);

impl Span {
    pub(crate) fn new(holder: Holder, blocks: &Range<u16>) -> Self {
        let who = u64::from(holder.replica.0) << 40 | (holder.tier as u64) << 32;
        Self(1 << 63 | who | u64::from(blocks.start) << 16 | u64::from(blocks.end))
    }

    pub(crate) fn read(word: u64) -> Option<Self> {
        (word != 0).then_some(Self(word))
    }

    pub(crate) fn word(self) -> u64 {
        self.0
    }

    #[inline]
    pub(crate) fn replica(self) -> ReplicaId {
        ReplicaId((self.0 >> 40) as u16)
    }

    #[inline]
    pub(crate) fn tier(self) -> Tier {
        Tier::ALL[(self.0 >> 32) as usize & 3]
    }

    pub(crate) fn holder(self) -> Holder {
        Holder {
            replica: self.replica(),
            tier: self.tier(),
        }
    }

    /// Whether it is `holder`'s.
    #[inline]
    pub(crate) fn is_of(self, holder: Holder) -> bool {
        (self.0 ^ Self::new(holder, &(0..0)).0) >> 32 == 0
    }

    #[inline]
    pub(crate) fn start(self) -> u16 {
        (self.0 >> 16) as u16
    }

    #[inline]
    pub(crate) fn end(self) -> u16 {
        self.0 as u16
    }

    pub(crate) fn blocks(self) -> Range<u16> {
        self.start()..self.end()
    }
}

/// Where a run's keys lie, and how many there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) array: Array,
    pub(crate) blocks: u16,
}

fn array_word(array: Array, low: u16) -> u64 {
    u64::from(array.line) << 32 | u64::from(array.lines) << 16 | u64::from(low)
}

fn array_of(word: u64) -> Array {
    Array {
        line: (word >> 32) as u32,
        lines: (word >> 16) as u16,
    }
}

/// A run's line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a>(pub(crate) &'a Line);

impl<'a> Run<'a> {
    // What readers use too.

    #[inline]
    pub(crate) fn version(self) -> u64 {
        self.0.0[0].load(Ordering::Acquire) >> 32
    }

    /// The version again, after everything read so far.
    #[inline]
    pub(crate) fn version_after(self) -> u64 {
        fence(Ordering::Acquire);
        self.0.0[0].load(Ordering::Relaxed) >> 32
    }

    /// Block after the last one that a child hangs on; 0: no children. Raised before the child is
    /// known to readers.
    #[inline]
    pub(crate) fn child_end(self) -> u16 {
        (self.0.0[0].load(Ordering::Relaxed) >> 16) as u16
    }

    #[inline]
    pub(crate) fn first_key(self) -> u64 {
        self.0.0[1].load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn last_key(self) -> u64 {
        self.0.0[2].load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn extent(self) -> Extent {
        let word = self.0.0[3].load(Ordering::Acquire);
        Extent {
            array: array_of(word),
            blocks: word as u16,
        }
    }

    #[inline]
    pub(crate) fn keys(self, bulk: &'a Memory) -> Words<'a> {
        let Array { line, lines } = self.extent().array;
        bulk.words(line, lines.into())
    }

    #[inline]
    pub(crate) fn whole(self) -> Whole {
        let word = self.0.0[4].load(Ordering::Acquire);
        if word >> FEW == 0 {
            return Whole::Few(word);
        }
        Whole::Many(Array {
            line: word as u32,
            lines: (word >> 48) as u16 & 0x7fff,
        })
    }

    /// Words of spans, none of them twice.
    #[inline]
    pub(crate) fn span_words(self, bulk: &'a Memory) -> impl Iterator<Item = &'a AtomicU64> {
        let Array { line, lines } = array_of(self.0.0[7].load(Ordering::Acquire));
        let more = bulk.words(line, lines.into());
        self.0.0[5..7].iter().chain(more.iter())
    }

    /// Spans, each with the word that it stands in.
    #[inline]
    pub(crate) fn spans(self, bulk: &'a Memory) -> impl Iterator<Item = (&'a AtomicU64, Span)> {
        let read = |word: &'a AtomicU64| Some((word, Span::read(word.load(Ordering::Acquire))?));
        self.span_words(bulk).filter_map(read)
    }

    // What only the writer uses.

    /// Tells readers that something has moved. What was moved may be dropped afterwards.
    pub(crate) fn raise_version(self) {
        let word = self.0.0[0].load(Ordering::Relaxed);
        self.0.0[0].store(word.wrapping_add(1 << 32), Ordering::Release);
        fence(Ordering::Release);
    }

    pub(crate) fn has(self, flag: u64) -> bool {
        self.0.0[0].load(Ordering::Relaxed) & flag != 0
    }

    pub(crate) fn set(self, flag: u64) {
        if !self.has(flag) {
            let word = self.0.0[0].load(Ordering::Relaxed);
            self.0.0[0].store(word | flag, Ordering::Relaxed);
        }
    }

    pub(crate) fn unset(self, flag: u64) {
        let word = self.0.0[0].load(Ordering::Relaxed);
        self.0.0[0].store(word & !flag, Ordering::Relaxed);
    }

    pub(crate) fn set_child_end(self, end: u16) {
        let word = self.0.0[0].load(Ordering::Relaxed) & !(0xffff << 16);
        self.0.0[0].store(word | u64::from(end) << 16, Ordering::Relaxed);
    }

    pub(crate) fn set_extent(self, extent: Extent, last_key: BlockKey) {
        self.0.0[2].store(last_key.0, Ordering::Relaxed);
        self.0.0[3].store(array_word(extent.array, extent.blocks), Ordering::Release);
    }

    pub(crate) fn set_whole(self, whole: Whole) {
        let word = match whole {
            Whole::Few(bits) => bits,
            Whole::Many(array) => 1 << FEW | u64::from(array.lines) << 48 | u64::from(array.line),
        };
        self.0.0[4].store(word, Ordering::Release);
    }

    pub(crate) fn more_spans(self) -> Array {
        array_of(self.0.0[7].load(Ordering::Relaxed))
    }

    pub(crate) fn set_more_spans(self, array: Array) {
        self.0.0[7].store(array_word(array, 0), Ordering::Release);
    }

    /// Makes the line a run without holders; the version stays. Known to readers with the last store.
    pub(crate) fn begin(self, first_key: BlockKey, extent: Extent, last_key: BlockKey) {
        let version = self.0.0[0].load(Ordering::Relaxed) >> 32 << 32;
        self.0.0[0].store(version | WARM, Ordering::Relaxed);
        self.set_extent(extent, last_key);
        self.0.0[4..]
            .iter()
            .for_each(|word| word.store(0, Ordering::Relaxed));
        self.0.0[1].store(first_key.0, Ordering::Release);
    }

    /// No run here any more.
    pub(crate) fn end(self) {
        self.0.0[1].store(0, Ordering::Relaxed);
        self.raise_version();
    }
}
