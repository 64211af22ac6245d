//! What the writer and its readers share.

use std::sync::atomic::{AtomicUsize, Ordering};

use onefill_kv::{BlockKey, ReplicaId};

use crate::heads::Heads;
use crate::heap::Array;
use crate::memory::{LINE_BYTES, LINE_WORDS, Memory, Numbered, Words};
use crate::run::{FEW, Run, Whole};

/// Most runs: their numbers take 24 bits in the tables, and one stands for none.
pub(crate) const RUNS_MAX: usize = (1 << 24) - 2;

/// Runs, their arrays and their first keys.
#[derive(Debug)]
pub(crate) struct Shared {
    /// A line for each run, by its number.
    pub(crate) headers: Numbered,
    /// All lines: those of runs and of their first keys, keys, spans, wide bitsets.
    pub(crate) bulk: Memory,
    pub(crate) heads: Heads,
    /// Words of a set of all replicas that hold anything: see [`Shared::width`].
    width: AtomicUsize,
}

impl Shared {
    pub(crate) fn new(memory_bytes_max: usize) -> Self {
        let lines = (memory_bytes_max / LINE_BYTES).clamp(1 << 16, u32::MAX as usize / 4);
        Self {
            headers: Numbered::new(lines.min(RUNS_MAX)),
            // What is in use is bounded; what lies between is not in use.
            bulk: Memory::new(2 * lines),
            heads: Heads::new(lines),
            width: AtomicUsize::new(1),
        }
    }

    #[inline]
    pub(crate) fn run(&self, id: u32) -> Run<'_> {
        Run(self.headers.line(&self.bulk, id))
    }

    /// The run that starts with `key`.
    #[inline]
    pub(crate) fn head(&self, key: BlockKey) -> Option<u32> {
        self.heads
            .find(&self.bulk, key, |id| self.run(id).first_key() == key.0)
    }

    /// The run that starts with `key` will be asked for.
    #[inline]
    pub(crate) fn expect_head(&self, key: BlockKey) {
        self.heads.expect(&self.bulk, key);
    }

    /// Words that a set of replicas takes, by the highest number seen so far: small fleets don't pay
    /// for the room that large ones need.
    #[inline]
    pub(crate) fn width(&self) -> usize {
        self.width.load(Ordering::Acquire)
    }

    /// A replica will hold something.
    #[inline]
    pub(crate) fn make_way(&self, replica: ReplicaId) {
        let words = usize::from(replica.0) / 64 + 1;
        if words > self.width.load(Ordering::Relaxed) {
            self.width
                .store(words.next_power_of_two(), Ordering::Release);
        }
    }

    /// A word of the set of replicas that hold all of `run` on their GPU.
    #[inline]
    pub(crate) fn gpu_bits(&self, run: Run<'_>, word: usize) -> u64 {
        match run.whole() {
            Whole::Few(bits) => {
                if word == 0 {
                    bits
                } else {
                    0
                }
            }
            Whole::Many(array) => self.set(array).get(word),
        }
    }

    fn set(&self, array: Array) -> Words<'_> {
        self.bulk.words(array.line, array.lines.into())
    }

    /// Whether `replica` holds all of `run` on its GPU, by its bit.
    #[inline]
    pub(crate) fn gpu_has(&self, run: Run<'_>, replica: ReplicaId) -> bool {
        let (word, bit) = (usize::from(replica.0) / 64, replica.0 % 64);
        self.gpu_bits(run, word) >> bit & 1 != 0
    }

    /// Whether any replica's bit is set.
    pub(crate) fn gpu_any(&self, run: Run<'_>) -> bool {
        match run.whole() {
            Whole::Few(bits) => bits != 0,
            Whole::Many(_) => (0..self.width()).any(|word| self.gpu_bits(run, word) != 0),
        }
    }

    /// Whether no bit but `replica`'s is set.
    #[inline]
    pub(crate) fn gpu_only(&self, run: Run<'_>, replica: ReplicaId) -> bool {
        let (own, bit) = (usize::from(replica.0) / 64, 1 << (replica.0 % 64));
        let others = |word: usize, bits: u64| if word == own { bits & !bit } else { bits };
        match run.whole() {
            Whole::Few(bits) => others(0, bits) == 0,
            Whole::Many(_) => {
                (0..self.width()).all(|word| others(word, self.gpu_bits(run, word)) == 0)
            }
        }
    }

    /// Sets or clears a replica's bit. False where the run has no room for it.
    pub(crate) fn gpu_put(&self, run: Run<'_>, replica: ReplicaId, on: bool) -> bool {
        let (word, bit) = (usize::from(replica.0) / 64, 1 << (replica.0 % 64));
        let put = |bits: u64| if on { bits | bit } else { bits & !bit };
        match run.whole() {
            Whole::Few(bits) if replica.0 < FEW => run.set_whole(Whole::Few(put(bits))),
            Whole::Many(array) if word < usize::from(array.lines) * LINE_WORDS => {
                let words = self.set(array);
                words.set(word, put(words.get(word)));
            }
            _ => return !on,
        }
        if on {
            self.make_way(replica);
        }
        true
    }
}
