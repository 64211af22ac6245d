//! The most literal index: what each replica said, in plain maps, walked block by block. The oracle
//! of the tests; slow on purpose.

use std::collections::HashMap;

use onefill_kv::{BlockKey, EngineHash, Overlap, ReplicaId, Tier};

use crate::{Block, Parent, Stored};

/// A block that waits for its parent.
#[derive(Clone, Copy, Debug)]
struct Orphan {
    replica: ReplicaId,
    tier: Tier,
    parent: EngineHash,
    block: Block,
}

/// An index in plain maps, without any bound.
#[derive(Debug, Default)]
pub struct Reference {
    /// What each replica means by its names, for ever.
    meanings: HashMap<(ReplicaId, EngineHash), BlockKey>,
    /// What anyone meant first by a name.
    anyones: HashMap<EngineHash, BlockKey>,
    /// Copies held.
    copies: HashMap<(ReplicaId, Tier, BlockKey), u32>,
    orphans: Vec<Orphan>,
}

impl Reference {
    /// As [`crate::IndexWriter::stored`].
    pub fn stored(
        &mut self,
        replica: ReplicaId,
        tier: Tier,
        parent: Parent,
        blocks: &[Block],
    ) -> Stored {
        let mut before = match parent {
            Parent::Root(root) => Ok(root),
            Parent::Hash(hash) => self.meaning(replica, hash).ok_or(Some(hash)),
            Parent::UnknownRoot => Err(None),
        };
        let mut told = Stored::default();
        for block in blocks {
            let known = self.meaning(replica, block.hash);
            before = match (before, known) {
                (Ok(key), _) => Ok(key.extend(block.content)),
                (Err(_), Some(key)) => Ok(key),
                (Err(Some(parent)), None) => {
                    self.orphans.push(Orphan {
                        replica,
                        tier,
                        parent,
                        block: *block,
                    });
                    told.parked += 1;
                    Err(Some(block.hash))
                }
                (Err(None), None) => {
                    told.refused += 1;
                    Err(None)
                }
            };
            if let Ok(key) = before {
                self.hold(replica, tier, block.hash, key);
                told.placed += 1;
            }
        }
        self.adopt();
        told
    }

    /// As [`crate::IndexWriter::removed`].
    pub fn removed(&mut self, replica: ReplicaId, tier: Tier, hashes: &[EngineHash]) {
        for hash in hashes {
            let key = self.meaning(replica, *hash);
            let held = key.and_then(|key| self.copies.get_mut(&(replica, tier, key)));
            match held {
                Some(copies) if *copies > 0 => *copies -= 1,
                _ => {
                    let is =
                        |o: &Orphan| (o.replica, o.tier, o.block.hash) == (replica, tier, *hash);
                    if let Some(at) = self.orphans.iter().position(is) {
                        self.orphans.remove(at);
                    }
                }
            }
        }
    }

    /// As [`crate::IndexWriter::cleared`].
    pub fn cleared(&mut self, replica: ReplicaId) {
        self.copies.retain(|(holder, _, _), _| *holder != replica);
        self.orphans.retain(|orphan| orphan.replica != replica);
    }

    /// As [`crate::IndexWriter::held`].
    pub fn held(&self, replica: ReplicaId, tier: Tier) -> u64 {
        let of = |(r, t, _): &(ReplicaId, Tier, BlockKey)| (*r, *t) == (replica, tier);
        self.copies
            .iter()
            .filter(|(at, copies)| of(at) && **copies > 0)
            .count() as u64
    }

    /// As [`crate::IndexReader::lookup`], for one replica.
    pub fn overlap(&self, replica: ReplicaId, chain: &[BlockKey]) -> Overlap {
        let mut depth = [0_u32; 4];
        let mut blocks = 0;
        for tier in Tier::ALL {
            let holds = |key: &&BlockKey| self.holds(replica, tier, **key);
            blocks += chain.iter().skip(blocks).take_while(holds).count();
            depth[tier as usize] = u32::try_from(blocks).unwrap_or(u32::MAX);
        }
        Overlap { depth }
    }

    fn holds(&self, replica: ReplicaId, tier: Tier, key: BlockKey) -> bool {
        self.copies
            .get(&(replica, tier, key))
            .is_some_and(|copies| *copies > 0)
    }

    fn meaning(&self, replica: ReplicaId, hash: EngineHash) -> Option<BlockKey> {
        self.meanings
            .get(&(replica, hash))
            .or_else(|| self.anyones.get(&hash))
            .copied()
    }

    fn hold(&mut self, replica: ReplicaId, tier: Tier, hash: EngineHash, key: BlockKey) {
        let was = self.meaning(replica, hash);
        if let Some(old) = was.filter(|old| *old != key) {
            // The engine gave the name to something else: what it named before is gone.
            self.copies
                .retain(|(holder, _, named), _| (*holder, *named) != (replica, old));
        }
        self.meanings.insert((replica, hash), key);
        self.anyones.entry(hash).or_insert(key);
        *self.copies.entry((replica, tier, key)).or_default() += 1;
    }

    fn adopt(&mut self) {
        while let Some((at, parent)) = self.ready() {
            let Orphan {
                replica,
                tier,
                block,
                ..
            } = self.orphans.remove(at);
            self.hold(replica, tier, block.hash, parent.extend(block.content));
        }
    }

    /// An orphan whose parent is known, and the parent's key.
    fn ready(&self) -> Option<(usize, BlockKey)> {
        let parents = self
            .orphans
            .iter()
            .map(|orphan| self.meaning(orphan.replica, orphan.parent));
        parents
            .enumerate()
            .find_map(|(at, parent)| Some((at, parent?)))
    }
}
