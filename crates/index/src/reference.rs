//! The literal index: every structure is the plainest that states the contract. The oracle that
//! the fast one is compared with.

use crate::{Block, IndexConfig, IndexStats, Parent, Stored};
use hashbrown::{HashMap, HashSet};
use onefill_kv::{BlockKey, EngineHash, Overlap, ReplicaId, Tier};

type Holder = (ReplicaId, Tier);

/// Blocks whose parent nobody has told of yet.
#[derive(Debug)]
struct Orphans {
    replica: ReplicaId,
    tier: Tier,
    blocks: Vec<Block>,
}

/// Keys, who holds them, and how engines call them.
#[derive(Debug, Default)]
pub struct Reference {
    /// Copies by holder of each block.
    copies: HashMap<BlockKey, HashMap<Holder, u32>>,
    /// Engine hashes, as the first replica that used one meant it.
    names: HashMap<EngineHash, BlockKey>,
    /// Engine hashes of replicas that mean another block by them.
    own_names: HashMap<(ReplicaId, EngineHash), BlockKey>,
    /// All names of a block, to forget them with it.
    names_of: HashMap<BlockKey, HashSet<EngineHash>>,
    held: HashMap<Holder, u64>,
    orphans: HashMap<EngineHash, Vec<Orphans>>,
    orphan_blocks: usize,
    orphan_blocks_max: usize,
    blocks_max: usize,
    refused: u64,
    dropped: u64,
}

/// Bytes that one block takes here, roughly: what the memory cap is divided by.
const BLOCK_BYTES: usize = 256;

impl Reference {
    /// An empty index.
    pub fn new(config: &IndexConfig) -> Self {
        Self {
            orphan_blocks_max: config.orphan_bytes_max / BLOCK_BYTES,
            blocks_max: config.memory_bytes_max / BLOCK_BYTES,
            ..Self::default()
        }
    }

    fn name(&self, replica: ReplicaId, hash: EngineHash) -> Option<BlockKey> {
        self.own_names
            .get(&(replica, hash))
            .or_else(|| self.names.get(&hash))
            .copied()
    }

    /// See [`crate::IndexWriter::stored`].
    pub fn stored(
        &mut self,
        replica: ReplicaId,
        tier: Tier,
        parent: Parent,
        blocks: &[Block],
    ) -> Stored {
        let count = u32::try_from(blocks.len()).unwrap_or(u32::MAX);
        match self.parent_key(replica, parent, blocks) {
            Some(key) => self.place(replica, tier, key, blocks),
            None => match parent {
                Parent::Hash(missing)
                    if self.orphan_blocks + blocks.len() <= self.orphan_blocks_max =>
                {
                    self.orphan_blocks += blocks.len();
                    let orphans = Orphans {
                        replica,
                        tier,
                        blocks: blocks.to_vec(),
                    };
                    self.orphans.entry(missing).or_default().push(orphans);
                    Stored {
                        parked: count,
                        ..Stored::default()
                    }
                }
                _ => {
                    self.refused += u64::from(count);
                    Stored {
                        refused: count,
                        ..Stored::default()
                    }
                }
            },
        }
    }

    fn parent_key(&self, replica: ReplicaId, parent: Parent, blocks: &[Block]) -> Option<BlockKey> {
        match parent {
            Parent::Root(root) => Some(root),
            Parent::Hash(hash) => self.name(replica, hash),
            // Only a block that is known already tells which namespace it is in: its parent is
            // not needed, so any key will do (see `place`).
            Parent::UnknownRoot => self.name(replica, blocks.first()?.hash),
        }
    }

    fn place(
        &mut self,
        replica: ReplicaId,
        tier: Tier,
        parent: BlockKey,
        blocks: &[Block],
    ) -> Stored {
        let mut stored = Stored::default();
        let mut key = parent;
        for (at, block) in blocks.iter().enumerate() {
            let known = self.name(replica, block.hash);
            let chained = key.extend(block.content);
            // The first block after an unknown root is taken at its name.
            key = if at == 0 && known == Some(parent) {
                parent
            } else {
                chained
            };
            if self.copies.len() >= self.blocks_max && !self.copies.contains_key(&key) {
                self.dropped += 1;
                continue;
            }
            self.call(replica, block.hash, key, known);
            self.hold(replica, tier, key);
            stored.placed += 1;
            let adopted = self.orphans.remove(&block.hash).unwrap_or_default();
            for orphans in adopted {
                self.orphan_blocks -= orphans.blocks.len();
                stored.placed += self
                    .place(orphans.replica, orphans.tier, key, &orphans.blocks)
                    .placed;
            }
        }
        stored
    }

    fn call(
        &mut self,
        replica: ReplicaId,
        hash: EngineHash,
        key: BlockKey,
        known: Option<BlockKey>,
    ) {
        match known {
            Some(same) if same == key => return,
            Some(_) => drop(self.own_names.insert((replica, hash), key)),
            None => drop(self.names.insert(hash, key)),
        }
        self.names_of.entry(key).or_default().insert(hash);
    }

    fn hold(&mut self, replica: ReplicaId, tier: Tier, key: BlockKey) {
        let copies = self
            .copies
            .entry(key)
            .or_default()
            .entry((replica, tier))
            .or_insert(0);
        *copies += 1;
        if *copies == 1 {
            *self.held.entry((replica, tier)).or_insert(0) += 1;
        }
    }

    /// See [`crate::IndexWriter::removed`].
    pub fn removed(&mut self, replica: ReplicaId, tier: Tier, hashes: &[EngineHash]) {
        for hash in hashes {
            self.remove_orphan(replica, tier, *hash);
            let Some(key) = self.name(replica, *hash) else {
                continue;
            };
            let Some(holders) = self.copies.get_mut(&key) else {
                continue;
            };
            let Some(copies) = holders.get_mut(&(replica, tier)) else {
                continue;
            };
            *copies -= 1;
            if *copies == 0 {
                holders.remove(&(replica, tier));
                self.unhold((replica, tier));
                self.forget_if_unheld(key);
            }
        }
    }

    /// A parked block that is gone, and what was parked after it, is not adopted.
    fn remove_orphan(&mut self, replica: ReplicaId, tier: Tier, hash: EngineHash) {
        for parked in self.orphans.values_mut().flatten() {
            if (parked.replica, parked.tier) != (replica, tier) {
                continue;
            }
            if let Some(at) = parked.blocks.iter().position(|block| block.hash == hash) {
                self.orphan_blocks -= parked.blocks.len() - at;
                parked.blocks.truncate(at);
            }
        }
    }

    fn unhold(&mut self, holder: Holder) {
        if let Some(count) = self.held.get_mut(&holder) {
            *count -= 1;
        }
    }

    fn forget_if_unheld(&mut self, key: BlockKey) {
        if self.copies.get(&key).is_some_and(HashMap::is_empty) {
            self.copies.remove(&key);
            for hash in self.names_of.remove(&key).unwrap_or_default() {
                if self.names.get(&hash) == Some(&key) {
                    self.names.remove(&hash);
                }
                self.own_names
                    .retain(|(_, own), named| !(*own == hash && *named == key));
            }
        }
    }

    /// See [`crate::IndexWriter::cleared`].
    pub fn cleared(&mut self, replica: ReplicaId) {
        let keys: Vec<BlockKey> = self.copies.keys().copied().collect();
        for key in keys {
            for tier in Tier::ALL {
                let holders = self.copies.get_mut(&key);
                if holders.is_some_and(|holders| holders.remove(&(replica, tier)).is_some()) {
                    self.unhold((replica, tier));
                }
            }
            self.forget_if_unheld(key);
        }
        for parked in self.orphans.values_mut() {
            let before: usize = parked.iter().map(|orphans| orphans.blocks.len()).sum();
            parked.retain(|orphans| orphans.replica != replica);
            let after: usize = parked.iter().map(|orphans| orphans.blocks.len()).sum();
            self.orphan_blocks -= before - after;
        }
        self.orphans.retain(|_, parked| !parked.is_empty());
    }

    /// Blocks that `replica` holds in `tier`.
    pub fn held(&self, replica: ReplicaId, tier: Tier) -> u64 {
        self.held.get(&(replica, tier)).copied().unwrap_or(0)
    }

    /// Replicas that hold anything.
    pub fn replicas(&self) -> impl Iterator<Item = ReplicaId> {
        let holding = self.held.iter().filter(|(_, count)| **count > 0);
        let replicas: HashSet<ReplicaId> = holding.map(|((replica, _), _)| *replica).collect();
        replicas.into_iter()
    }

    /// One replica's overlap with a chain, block by block.
    pub fn overlap(&self, replica: ReplicaId, chain: &[BlockKey]) -> Overlap {
        let mut overlap = Overlap::default();
        let mut at = 0;
        for tier in Tier::ALL {
            let holds = |key: &BlockKey| {
                self.copies
                    .get(key)
                    .is_some_and(|holders| holders.contains_key(&(replica, tier)))
            };
            at += chain
                .get(at..)
                .unwrap_or_default()
                .iter()
                .take_while(|key| holds(key))
                .count();
            overlap.depth[tier as usize] = u32::try_from(at).unwrap_or(u32::MAX);
        }
        overlap
    }

    /// Figures.
    pub fn stats(&self) -> IndexStats {
        IndexStats {
            memory_bytes: self.copies.len() * BLOCK_BYTES,
            blocks: self.copies.len() as u64,
            pairs: self.held.values().sum(),
            orphans: self.orphan_blocks as u64,
            dropped: self.dropped,
            refused: self.refused,
        }
    }
}
