//! Which replica holds which block in which tier: `apply(event)` on one side,
//! `lookup(chain) -> overlap` on the other.

//!
//! One writer, any number of readers that never wait for it. The structure is a forest of runs (see
//! [`run`]) whose first keys stand in one table ([`heads`]); engine hashes stand in another, once for
//! the whole fleet ([`names`]). [`reference`] says the same in the plainest words and is the oracle
//! of the tests.

mod aliases;
mod copies;
mod fresh;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod hasher;
mod heads;
mod heap;
mod history;
mod lookup;
mod memory;
mod names;
mod orphans;
mod overlaps;
mod pages;
mod prefetch;
pub mod reference;
mod run;
mod runs;
mod shared;
pub mod snapshot;
mod writer;

use std::sync::Arc;

use onefill_kv::{BlockKey, ContentHash, EngineHash, ReplicaId, Tier};

pub use history::History;
pub use overlaps::Overlaps;
use run::Holder;
use shared::Shared;
use snapshot::SavedReplica;
use writer::Writer;

/// Bounds of the index.
#[derive(Clone, Debug)]
pub struct IndexConfig {
    /// Most memory that blocks may take; beyond it the coldest leaves become unknown. Memory comes
    /// from the system in pieces of 2 MiB, two at least.
    pub memory_bytes_max: usize,
    /// Most memory that blocks with an unknown parent may take.
    pub orphan_bytes_max: usize,
}

impl Default for IndexConfig {
    fn default() -> Self {
        Self {
            memory_bytes_max: 1 << 30,
            orphan_bytes_max: 16 << 20,
        }
    }
}

/// What a chain hangs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parent {
    /// The start of a chain: the namespace's root key, [`onefill_kv::KeySeed::root`].
    Root(BlockKey),
    /// The start of a chain whose namespace is not known (offload tiers' events leave the salt
    /// out): placed only if the blocks' hashes are known already, else refused and counted.
    UnknownRoot,
    /// The block that the engine names so.
    Hash(EngineHash),
}

/// One block to store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    /// The engine's name of it.
    pub hash: EngineHash,
    /// Hash of its tokens; its key is `parent_key.extend(content)`.
    pub content: ContentHash,
}

/// What happened to stored blocks.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Stored {
    /// Blocks placed.
    pub placed: u32,
    /// Blocks parked until their parent comes.
    pub parked: u32,
    /// Blocks refused: unknown namespace, no room for orphans.
    pub refused: u32,
}

/// Makes an index: one writer, any number of readers.
#[must_use]
pub fn index(config: &IndexConfig) -> (IndexWriter, IndexReader) {
    with_shards(
        config,
        names::Names::shards_log2_for(config.memory_bytes_max),
    )
}

fn with_shards(config: &IndexConfig, shards_log2: u32) -> (IndexWriter, IndexReader) {
    let shared = Arc::new(Shared::new(config.memory_bytes_max));
    let writer = Writer::new(config, shards_log2);
    (
        IndexWriter {
            shared: Arc::clone(&shared),
            writer,
        },
        IndexReader { shared },
    )
}

/// The only one that changes the index.
#[derive(Debug)]
pub struct IndexWriter {
    shared: Arc<Shared>,
    writer: Writer,
}

impl IndexWriter {
    /// `replica` now holds `blocks` in `tier`, in chain order after `parent`.
    #[inline]
    pub fn stored(
        &mut self,
        replica: ReplicaId,
        tier: Tier,
        parent: Parent,
        blocks: &[Block],
    ) -> Stored {
        self.writer
            .stored(&self.shared, Holder { replica, tier }, parent, blocks)
    }

    /// `replica` dropped one copy of each of these blocks from `tier`.
    #[inline]
    pub fn removed(&mut self, replica: ReplicaId, tier: Tier, hashes: &[EngineHash]) {
        self.writer
            .removed(&self.shared, Holder { replica, tier }, hashes);
    }

    /// `replica` holds nothing any more (in any tier that is its own).
    pub fn cleared(&mut self, replica: ReplicaId) {
        self.writer.cleared(&self.shared, replica);
    }

    /// Appends a [`snapshot`] to `out`: what `replicas` hold, and what waits for its parent. What
    /// other replicas hold is left out when it is loaded. `identity` stands for all that keys depend
    /// on: seed, model, block size.
    ///
    /// Takes some ten nanoseconds a block, during which nothing else is applied.
    pub fn save(&mut self, identity: u64, replicas: &[SavedReplica<'_>], out: &mut Vec<u8>) {
        self.writer.save(&self.shared, identity, replicas, out);
    }

    /// Blocks that `replica` holds in `tier`, without parked ones.
    #[must_use]
    pub fn held(&self, replica: ReplicaId, tier: Tier) -> u64 {
        let held = self.writer.runs.held.get(usize::from(replica.0));
        held.map_or(0, |held| held[tier as usize])
    }

    #[cfg(test)]
    pub(crate) fn parts(&self) -> (&Shared, &Writer) {
        (&self.shared, &self.writer)
    }

    /// Another reader.
    #[must_use]
    pub fn reader(&self) -> IndexReader {
        IndexReader {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Figures for metrics and people.
    #[must_use]
    pub fn stats(&self) -> IndexStats {
        let (m, w) = (&self.shared, &self.writer);
        let numbers = m.headers.own_bytes() + m.heads.lines().own_bytes();
        let shared = m.bulk.bytes() + numbers;
        let tables = w.names.bytes() + w.aliases.bytes() + w.orphans().bytes();
        IndexStats {
            memory_bytes: shared + tables + w.runs.own_bytes(),
            blocks: w.runs.blocks,
            pairs: w.runs.held.iter().flatten().sum(),
            orphans: w.orphans().len() as u64,
            dropped: w.dropped,
            refused: w.refused,
        }
    }
}

/// Figures of the index.
#[derive(Clone, Debug, Default)]
pub struct IndexStats {
    /// Bytes of memory in use.
    pub memory_bytes: usize,
    /// Distinct blocks known.
    pub blocks: u64,
    /// (block, replica, tier) holdings.
    pub pairs: u64,
    /// Blocks parked without a parent.
    pub orphans: u64,
    /// Blocks dropped as unknown for lack of memory, ever.
    pub dropped: u64,
    /// Blocks refused, ever.
    pub refused: u64,
}

/// Looks chains up, concurrently with the writer. Clones are cheap.
#[derive(Clone, Debug)]
pub struct IndexReader {
    shared: Arc<Shared>,
}

impl IndexReader {
    /// Fills `out` with every replica's overlap with `chain`. Never waits for the writer.
    #[inline]
    pub fn lookup(&self, chain: &[BlockKey], out: &mut Overlaps) {
        lookup::lookup(&self.shared, chain, out);
    }
}

#[cfg(test)]
mod tests;
