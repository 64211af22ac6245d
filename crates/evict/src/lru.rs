//! Least recently used, leaves first: of the blocks that no other one needs, the one that was used
//! longest ago. A chain goes from its end, so what is left of it is always a prefix.

use super::{BlockId, Facts, PROPOSALS_MAX, Policy, slots::Chains};
use crate::paged::Paged;
use std::collections::BTreeSet;

/// See the module.
#[derive(Default, Debug)]
pub struct Lru {
    chains: Chains,
    /// When each block was used last, in uses.
    used: Paged<u64>,
    /// The blocks without children, by that.
    leaves: BTreeSet<(u64, BlockId)>,
    now: u64,
}

impl Lru {
    fn use_now(&mut self, id: BlockId) -> u64 {
        self.now += 1;
        let index = id as usize;
        self.used.reach(index);
        std::mem::replace(&mut self.used[index], self.now)
    }
}

impl Policy for Lru {
    fn inserted(&mut self, id: BlockId, facts: Facts) {
        self.use_now(id);
        self.chains.insert(id, facts.parent);
        self.leaves.insert((self.now, id));
        if let Some(parent) = self.chains.parent(id) {
            self.leaves.remove(&(self.used[parent as usize], parent));
        }
    }

    fn touched(&mut self, id: BlockId) {
        let before = self.use_now(id);
        if self.leaves.remove(&(before, id)) {
            self.leaves.insert((self.now, id));
        }
    }

    fn removed(&mut self, id: BlockId, _: bool) {
        let Some(used) = self.used.get(id as usize) else {
            return;
        };
        self.leaves.remove(&(*used, id));
        if let Some(parent) = self.chains.remove(id) {
            self.leaves.insert((self.used[parent as usize], parent));
        }
    }

    fn victim(&mut self, may_go: &mut dyn FnMut(BlockId) -> bool) -> Option<BlockId> {
        let oldest = self.leaves.iter().take(PROPOSALS_MAX);
        oldest.map(|(_, id)| *id).find(|id| may_go(*id))
    }
}
