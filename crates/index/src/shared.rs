//! What the writer and its readers share.

use onefill_kv::{BlockKey, ReplicaId};

use crate::heads::Heads;
use crate::memory::{LINE_BYTES, Memory, Numbered};
use crate::run::Run;

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
    /// Words of a set of replicas.
    pub(crate) gpu_words: usize,
}

impl Shared {
    pub(crate) fn new(memory_bytes_max: usize, replicas_max: usize) -> Self {
        let lines = (memory_bytes_max / LINE_BYTES).clamp(1 << 16, u32::MAX as usize / 4);
        let words = replicas_max.clamp(1, onefill_kv::REPLICAS_MAX).div_ceil(64);
        Self {
            headers: Numbered::new(lines.min(RUNS_MAX)),
            // What is in use is bounded; what lies between is not in use.
            bulk: Memory::new(2 * lines),
            heads: Heads::new(lines),
            gpu_words: words.next_power_of_two(),
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

    /// Whether sets of replicas fit the run's own line.
    #[inline]
    pub(crate) fn is_narrow(&self) -> bool {
        self.gpu_words == 1
    }

    /// A word of the set of replicas that hold all of `run` on their GPU.
    #[inline]
    pub(crate) fn gpu_bits(&self, run: Run<'_>, word: usize) -> u64 {
        match run.gpu_word() {
            bits if self.is_narrow() => bits,
            0 => 0,
            line => self
                .bulk
                .words(line as u32, self.gpu_words.div_ceil(8))
                .get(word),
        }
    }

    /// Whether `replica` holds all of `run` on its GPU, by its bit.
    #[inline]
    pub(crate) fn gpu_has(&self, run: Run<'_>, replica: ReplicaId) -> bool {
        let (word, bit) = (usize::from(replica.0) / 64, replica.0 % 64);
        self.gpu_bits(run, word) >> bit & 1 != 0
    }

    /// Whether any replica's bit is set.
    pub(crate) fn gpu_any(&self, run: Run<'_>) -> bool {
        run.gpu_word() != 0 && (0..self.gpu_words).any(|word| self.gpu_bits(run, word) != 0)
    }

    /// Whether no bit but `replica`'s is set.
    #[inline]
    pub(crate) fn gpu_only(&self, run: Run<'_>, replica: ReplicaId) -> bool {
        if run.gpu_word() == 0 {
            return true;
        }
        (0..self.gpu_words).all(|word| {
            let own = word == usize::from(replica.0) / 64;
            let mask = if own { 1 << (replica.0 % 64) } else { 0 };
            self.gpu_bits(run, word) & !mask == 0
        })
    }

    /// Sets or clears a replica's bit. False where the run has no bits yet.
    pub(crate) fn gpu_put(&self, run: Run<'_>, replica: ReplicaId, on: bool) -> bool {
        let (word, bit) = (usize::from(replica.0) / 64, 1 << (replica.0 % 64));
        let put = |bits: u64| if on { bits | bit } else { bits & !bit };
        match run.gpu_word() {
            bits if self.is_narrow() => run.set_gpu_word(put(bits)),
            0 => return false,
            line => {
                let words = self.bulk.words(line as u32, self.gpu_words.div_ceil(8));
                words.set(word, put(words.get(word)));
            }
        }
        true
    }
}
