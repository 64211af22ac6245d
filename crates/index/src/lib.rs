//! Which replica holds which block in which tier: `apply(event)` on one side,
//! `lookup(chain) -> overlap` on the other.

use onefill_kv::{BlockKey, ContentHash, EngineHash, Overlap, ReplicaId, Tier};

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
        Self { memory_bytes_max: 1 << 30, orphan_bytes_max: 16 << 20, replicas_max: 64 }
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
    let _ = config;
    (IndexWriter {}, IndexReader {})
}

/// The only one that changes the index.
#[derive(Debug)]
pub struct IndexWriter {}

impl IndexWriter {
    /// `replica` now holds `blocks` in `tier`, in chain order after `parent`.
    pub fn stored(&mut self, replica: ReplicaId, tier: Tier, parent: Parent, blocks: &[Block]) -> Stored {
        let _ = (replica, tier, parent, blocks);
        Stored::default()
    }

    /// `replica` dropped one copy of each of these blocks from `tier`.
    pub fn removed(&mut self, replica: ReplicaId, tier: Tier, hashes: &[EngineHash]) {
        let _ = (replica, tier, hashes);
    }

    /// `replica` holds nothing any more (in any tier that is its own).
    pub fn cleared(&mut self, replica: ReplicaId) {
        let _ = replica;
    }

    /// Blocks that `replica` holds in `tier`.
    pub fn held(&self, replica: ReplicaId, tier: Tier) -> u64 {
        let _ = (replica, tier);
        0
    }

    /// Figures for metrics and people.
    pub fn stats(&self) -> IndexStats {
        IndexStats::default()
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
pub struct IndexReader {}

impl IndexReader {
    /// Fills `out` with every replica's overlap with `chain`. Never waits for the writer.
    pub fn lookup(&self, chain: &[BlockKey], out: &mut Overlaps) {
        let _ = chain;
        out.clear();
    }
}

/// Answer of a lookup; keep one a thread and use it again.
#[derive(Debug, Default)]
pub struct Overlaps {}

impl Overlaps {
    /// Forgets the last answer.
    pub fn clear(&mut self) {}

    /// Overlap of one replica.
    pub fn get(&self, replica: ReplicaId) -> Overlap {
        let _ = replica;
        Overlap::default()
    }
}

/// What the router itself sent to one replica, for replicas without (complete) events: an LRU of
/// keys with the replica's capacity.
#[derive(Debug)]
pub struct History {}

impl History {
    /// A history of at most `capacity_blocks`.
    pub fn new(capacity_blocks: usize) -> Self {
        let _ = capacity_blocks;
        Self {}
    }

    /// Leading blocks of `chain` that were sent here and should still be there.
    pub fn overlap(&self, chain: &[BlockKey]) -> u32 {
        let _ = chain;
        0
    }

    /// The replica has computed `chain`.
    pub fn touch(&mut self, chain: &[BlockKey]) {
        let _ = chain;
    }

    /// The replica has lost everything.
    pub fn clear(&mut self) {}
}
