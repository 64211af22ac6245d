//! Blocks that went, until they come back or are forgotten: a table of eight bytes an entry, in which a
//! block has eight places; for a ninth the oldest is forgotten.

/// One block in this many is in the sample.
const SAMPLE: u64 = 8;
/// Places of a block.
const WAYS: usize = 8;
/// Tables of so many buckets at least.
const BUCKETS_MIN: usize = 8;
/// A table that must grow grows by one bucket in so many beyond what is wanted.
const SPARE: usize = 16;
/// Uses that are told apart in a ghost's age: bits that its class takes.
const CLASS_BITS: u32 = 6;
const CLASS_MASK: u32 = (1 << CLASS_BITS) - 1;

/// Fingerprints are hashes, but not always ours: their bits are mixed once more.
const fn mixed(fingerprint: u64) -> u64 {
    fingerprint.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Whether waits are learned from a block.
pub(super) const fn is_sampled(fingerprint: u64) -> bool {
    mixed(fingerprint) >> 60 & (SAMPLE - 1) == 0
}

/// A block that went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ghost {
    /// When it was used last, in uses, to [`CLASS_MASK`] exactly.
    pub(super) used: u32,
    /// What its policy wants to know again: [`CLASS_BITS`] bits.
    pub(super) class: u8,
}

/// No ghost: `when` is zero.
#[derive(Clone, Copy, Default, Debug)]
struct Entry {
    tag: u32,
    /// When it was used last, and in the low bits its class.
    when: u32,
}

impl Entry {
    const fn ghost(self) -> Option<Ghost> {
        match self.when {
            0 => None,
            when => Some(Ghost {
                used: when & !CLASS_MASK,
                class: (when & CLASS_MASK) as u8,
            }),
        }
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Ghosts {
    entries: Vec<Entry>,
}

impl Default for Ghosts {
    fn default() -> Self {
        Self {
            entries: vec![Entry::default(); BUCKETS_MIN * WAYS],
        }
    }
}

impl Ghosts {
    fn bucket(&mut self, tag: u32) -> &mut [Entry] {
        let buckets = (self.entries.len() / WAYS) as u64;
        let first = ((u64::from(tag) * buckets) >> 32) as usize * WAYS;
        &mut self.entries[first..first + WAYS]
    }

    /// The block came back.
    pub(super) fn take(&mut self, fingerprint: u64) -> Option<Ghost> {
        let tag = (mixed(fingerprint) >> 16) as u32;
        let mut entries = self.bucket(tag).iter_mut();
        let entry = entries.find(|entry| entry.tag == tag && entry.when != 0)?;
        std::mem::take(entry).ghost()
    }

    /// A block went. Gives the one that is forgotten for it.
    pub(super) fn add(&mut self, fingerprint: u64, ghost: Ghost) -> Option<Ghost> {
        let tag = (mixed(fingerprint) >> 16) as u32;
        let when = ghost.used & !CLASS_MASK | u32::from(ghost.class);
        self.put(Entry {
            tag,
            when: when.max(1),
        })
    }

    fn put(&mut self, entry: Entry) -> Option<Ghost> {
        let oldest = self
            .bucket(entry.tag)
            .iter_mut()
            .min_by_key(|each| each.when)?;
        std::mem::replace(oldest, entry).ghost()
    }

    /// Makes room for a ghost of each of so many resident blocks.
    pub(super) fn grow(&mut self, resident: u32) {
        let wanted = (resident as usize).div_ceil(WAYS);
        if wanted * WAYS <= self.entries.len() {
            return;
        }
        let bigger = vec![Entry::default(); (wanted + wanted / SPARE) * WAYS];
        let kept = std::mem::replace(&mut self.entries, bigger);
        for entry in kept.into_iter().filter(|entry| entry.when != 0) {
            self.put(entry);
        }
    }

    /// All ages are cut.
    pub(super) fn rewind(&mut self, cut: u32) {
        for entry in &mut self.entries {
            if let Some(ghost) = entry.ghost() {
                let used = ghost.used.saturating_sub(cut) & !CLASS_MASK;
                entry.when = (used | u32::from(ghost.class)).max(1);
            }
        }
    }
}
