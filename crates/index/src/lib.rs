//! Which replica holds which block in which tier: `apply(event)` on one side,
//! `lookup(chain) -> overlap` on the other.

mod history;
pub mod reference;

pub use history::History;
use onefill_kv::{BlockKey, ContentHash, EngineHash, Overlap, ReplicaId, Tier};
use parking_lot::RwLock;
use reference::Reference;
use std::sync::Arc;

/// Bounds of the index.
#[derive(Clone, Debug)]
pub struct IndexConfig {
    /// Most memory that blocks may take; beyond it the coldest leaves become unknown.
    pub memory_bytes_max: usize,
    /// Most memory that blocks with an unknown parent may take.
    pub orphan_bytes_max: usize,
    /// Replicas to make room for (bitset width), at most [`onefill_kv::REPLICAS_MAX`].
    pub replicas_max: usize,
}

impl Default for IndexConfig {
    fn default() -> Self {
        Self {
            memory_bytes_max: 1 << 30,
            orphan_bytes_max: 16 << 20,
            replicas_max: 64,
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
pub fn index(config: &IndexConfig) -> (IndexWriter, IndexReader) {
    let state = Arc::new(RwLock::new(Reference::new(config)));
    (
        IndexWriter {
            state: Arc::clone(&state),
        },
        IndexReader { state },
    )
}

/// The only one that changes the index.
#[derive(Debug)]
pub struct IndexWriter {
    state: Arc<RwLock<Reference>>,
}

impl IndexWriter {
    /// `replica` now holds `blocks` in `tier`, in chain order after `parent`.
    pub fn stored(
        &mut self,
        replica: ReplicaId,
        tier: Tier,
        parent: Parent,
        blocks: &[Block],
    ) -> Stored {
        self.state.write().stored(replica, tier, parent, blocks)
    }

    /// `replica` dropped one copy of each of these blocks from `tier`.
    pub fn removed(&mut self, replica: ReplicaId, tier: Tier, hashes: &[EngineHash]) {
        self.state.write().removed(replica, tier, hashes);
    }

    /// `replica` holds nothing any more (in any tier that is its own).
    pub fn cleared(&mut self, replica: ReplicaId) {
        self.state.write().cleared(replica);
    }

    /// Blocks that `replica` holds in `tier`.
    pub fn held(&self, replica: ReplicaId, tier: Tier) -> u64 {
        self.state.read().held(replica, tier)
    }

    /// Figures for metrics and people.
    pub fn stats(&self) -> IndexStats {
        self.state.read().stats()
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
    state: Arc<RwLock<Reference>>,
}

impl IndexReader {
    /// Fills `out` with every replica's overlap with `chain`. Never waits for the writer.
    pub fn lookup(&self, chain: &[BlockKey], out: &mut Overlaps) {
        let state = self.state.read();
        out.clear();
        for replica in state.replicas() {
            out.set(replica, state.overlap(replica, chain));
        }
    }
}

/// Answer of a lookup; keep one a thread and use it again.
#[derive(Debug, Default)]
pub struct Overlaps {
    by_replica: Vec<Overlap>,
}

impl Overlaps {
    /// Forgets the last answer.
    pub fn clear(&mut self) {
        self.by_replica.clear();
    }

    fn set(&mut self, replica: ReplicaId, overlap: Overlap) {
        let place = usize::from(replica.0);
        if self.by_replica.len() <= place {
            self.by_replica.resize(place + 1, Overlap::default());
        }
        if let Some(slot) = self.by_replica.get_mut(place) {
            *slot = overlap;
        }
    }

    /// Overlap of one replica.
    pub fn get(&self, replica: ReplicaId) -> Overlap {
        self.by_replica
            .get(usize::from(replica.0))
            .copied()
            .unwrap_or_default()
    }
}
