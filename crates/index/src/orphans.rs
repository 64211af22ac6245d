//! Blocks that came before their parents: parked by the name of the missing parent, placed when it
//! comes, dropped oldest first beyond a bound.

use std::collections::VecDeque;

use hashbrown::HashMap;
use onefill_kv::EngineHash;

use crate::Block;
use crate::hasher::BuildFold;
use crate::run::Holder;

/// A parked block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Orphan {
    pub(crate) holder: Holder,
    pub(crate) block: Block,
}

/// Parked blocks.
#[derive(Debug)]
pub(crate) struct Orphans {
    by_parent: HashMap<u64, Vec<Orphan>, BuildFold>,
    parents: HashMap<(u16, u64), u64, BuildFold>,
    /// Parents in the order in which something was parked under them; may name parents that are
    /// gone.
    order: VecDeque<u64>,
    count: usize,
    count_max: usize,
}

/// What one parked block takes in the three collections, with their slack.
const ORPHAN_BYTES: usize = 160;

impl Orphans {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            by_parent: HashMap::default(),
            parents: HashMap::default(),
            order: VecDeque::new(),
            count: 0,
            count_max: bytes_max / ORPHAN_BYTES,
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn bytes(&self) -> usize {
        self.count * ORPHAN_BYTES
    }

    /// Parks a block; returns how many older ones had to go for it, itself included where there is
    /// no room at all.
    pub(crate) fn park(&mut self, parent: EngineHash, orphan: Orphan) -> u32 {
        if self.count_max == 0 {
            return 1;
        }
        let mut gone = 0;
        while self.count >= self.count_max {
            gone += self.drop_oldest();
        }
        let siblings = self.by_parent.entry(parent.0).or_default();
        if siblings.is_empty() {
            self.order.push_back(parent.0);
        }
        siblings.push(orphan);
        self.tidy_order();
        self.parents
            .insert((orphan.holder.replica.0, orphan.block.hash.0), parent.0);
        self.count += 1;
        gone
    }

    /// Keeps the order from growing with parents that came.
    fn tidy_order(&mut self) {
        if self.order.len() > 2 * self.by_parent.len() + 64 {
            let mut seen = hashbrown::HashSet::new();
            let by_parent = &self.by_parent;
            self.order
                .retain(|parent| by_parent.contains_key(parent) && seen.insert(*parent));
        }
    }

    /// All parked blocks with their parents.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (EngineHash, &Orphan)> {
        let by_parent = self.by_parent.iter();
        by_parent
            .flat_map(|(parent, blocks)| blocks.iter().map(|block| (EngineHash(*parent), block)))
    }

    fn drop_oldest(&mut self) -> u32 {
        let Some(parent) = self.order.pop_front() else {
            self.count = 0; // can't be: each parked block's parent is in the order
            return 0;
        };
        self.take(EngineHash(parent)).len() as u32
    }

    /// Whether something waits for `parent`.
    #[inline]
    pub(crate) fn waits_for(&self, parent: EngineHash) -> bool {
        !self.is_empty() && self.by_parent.contains_key(&parent.0)
    }

    /// Takes what waits for `parent`.
    pub(crate) fn take(&mut self, parent: EngineHash) -> Vec<Orphan> {
        let taken = self.by_parent.remove(&parent.0).unwrap_or_default();
        self.count -= taken.len();
        for orphan in &taken {
            self.parents
                .remove(&(orphan.holder.replica.0, orphan.block.hash.0));
        }
        taken
    }

    /// A parked block is gone. What waits for it stays: its parent may be known again.
    pub(crate) fn remove(&mut self, holder: Holder, hash: EngineHash) {
        let Some(parent) = self.parents.get(&(holder.replica.0, hash.0)).copied() else {
            return;
        };
        let Some(siblings) = self.by_parent.get_mut(&parent) else {
            return;
        };
        let is = |orphan: &Orphan| orphan.holder == holder && orphan.block.hash == hash;
        if let Some(at) = siblings.iter().position(is) {
            siblings.swap_remove(at);
            self.count -= 1;
        }
        if !siblings.iter().any(|orphan| orphan.block.hash == hash) {
            self.parents.remove(&(holder.replica.0, hash.0));
        }
        if siblings.is_empty() {
            self.by_parent.remove(&parent);
        }
    }

    /// A replica's parked blocks are gone.
    pub(crate) fn clear(&mut self, replica: onefill_kv::ReplicaId) {
        let parents: Vec<u64> = self
            .parents
            .iter()
            .filter(|((of, _), _)| *of == replica.0)
            .map(|(_, parent)| *parent)
            .collect();
        for parent in parents {
            if let Some(siblings) = self.by_parent.get_mut(&parent) {
                let before = siblings.len();
                siblings.retain(|orphan| orphan.holder.replica != replica);
                self.count -= before - siblings.len();
                if siblings.is_empty() {
                    self.by_parent.remove(&parent);
                }
            }
        }
        self.parents.retain(|(of, _), _| *of != replica.0);
    }
}
