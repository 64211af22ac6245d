//! Chains among blocks: who has children. Shared by the policies, so that all keep a parent until
//! its children are gone.

use super::BlockId;
use crate::paged::Paged;

/// The parent of blocks without one.
const NOBODY: BlockId = BlockId::MAX;

#[derive(Clone, Copy, Debug)]
struct Slot {
    children: u32,
    /// The block before it, and which of those that had its number.
    parent: BlockId,
    parent_generation: u16,
    /// Counts the blocks that had this number: a child of an earlier one is no child. One that has
    /// waited for 65,536 others would be taken for a child again, and go a little later or sooner.
    generation: u16,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            children: 0,
            parent: NOBODY,
            parent_generation: 0,
            generation: 0,
        }
    }
}

/// Parents and children of all blocks.
#[derive(Default, Debug)]
pub(super) struct Chains {
    slots: Paged<Slot>,
}

impl Chains {
    pub(super) fn insert(&mut self, id: BlockId, parent: Option<BlockId>) {
        self.slots.reach(id as usize);
        let parent = parent.filter(|parent| *parent != id).unwrap_or(NOBODY);
        let mut parent_generation = 0;
        if let Some(slot) = self.slots.get_mut(parent as usize) {
            slot.children += 1;
            parent_generation = slot.generation;
        }
        let slot = &mut self.slots[id as usize];
        slot.parent = parent;
        slot.parent_generation = parent_generation;
        slot.children = 0;
    }

    /// Takes a block out; says which parent has no more children now.
    pub(super) fn remove(&mut self, id: BlockId) -> Option<BlockId> {
        let slot = self.slots.get_mut(id as usize)?;
        slot.generation = slot.generation.wrapping_add(1);
        slot.children = 0;
        let (parent, generation) = (slot.parent, slot.parent_generation);
        slot.parent = NOBODY;
        let slot = self.slots.get_mut(parent as usize)?;
        if slot.generation != generation {
            return None;
        }
        slot.children = slot.children.saturating_sub(1);
        (slot.children == 0).then_some(parent)
    }

    /// Whether no other block goes on from it.
    pub(super) fn is_leaf(&self, id: BlockId) -> bool {
        let slot = self.slots.get(id as usize);
        slot.is_none_or(|slot| slot.children == 0)
    }

    /// The block before `id` in its chain, if that is still there.
    pub(super) fn parent(&self, id: BlockId) -> Option<BlockId> {
        let slot = self.slots.get(id as usize)?;
        let parent = self.slots.get(slot.parent as usize)?;
        (parent.generation == slot.parent_generation).then_some(slot.parent)
    }
}
