//! Least recently used, leaves first: of the blocks that no other one needs, the one that was used
//! longest ago. A chain goes from its end, so what is left of it is always a prefix.

use super::{
    BlockId, Facts, PROPOSALS_MAX, Policy,
    heap::{Heap, Uses},
    slots::Chains,
};

/// See the module.
#[derive(Default, Debug)]
pub struct Lru {
    chains: Chains,
    uses: Uses,
    /// The blocks without children.
    leaves: Heap,
    now: u32,
}

impl Lru {
    fn use_now(&mut self, id: BlockId) {
        self.now += 1;
        self.uses.set(id, self.now);
        // Uses have been counted to the end: what is older than the later half of them is all alike.
        if self.now == u32::MAX {
            let cut = self.now / 2;
            self.now -= cut;
            self.uses.rewind(cut);
        }
    }

    /// As after so many uses of blocks that have gone.
    #[cfg(test)]
    pub(crate) fn skip_to(&mut self, uses: u32) {
        self.now = uses;
    }
}

impl Policy for Lru {
    fn inserted(&mut self, id: BlockId, facts: Facts) {
        self.use_now(id);
        self.chains.insert(id, facts.parent);
        self.leaves.insert(id, &mut self.uses);
        if let Some(parent) = self.chains.parent(id) {
            self.leaves.remove(parent, &mut self.uses);
        }
    }

    fn touched(&mut self, id: BlockId) {
        self.use_now(id);
        self.leaves.used(id, &mut self.uses);
    }

    fn removed(&mut self, id: BlockId, _: Option<u64>) {
        self.leaves.remove(id, &mut self.uses);
        if let Some(parent) = self.chains.remove(id) {
            self.leaves.insert(parent, &mut self.uses);
        }
    }

    fn victim(&mut self, may_go: &mut dyn FnMut(BlockId) -> bool) -> Option<BlockId> {
        let first = self.leaves.first()?;
        if may_go(first) {
            return Some(first);
        }
        let others = self.leaves.iter(&self.uses).take(PROPOSALS_MAX).skip(1);
        others.into_iter().find(|id| may_go(*id))
    }
}
