//! Chains among blocks: who has children. Shared by the policies, so that all keep a parent until
//! its children are gone.

use super::BlockId;
use crate::paged::Paged;

#[derive(Clone, Copy, Default, Debug)]
struct Slot {
    /// Counts the blocks that had this number: a child of an earlier one is no child.
    generation: u32,
    children: u32,
    parent: Option<(BlockId, u32)>,
}

/// Parents and children of all blocks.
#[derive(Default, Debug)]
pub(super) struct Chains {
    slots: Paged<Slot>,
}

impl Chains {
    pub(super) fn insert(&mut self, id: BlockId, parent: Option<BlockId>) {
        let index = id as usize;
        self.slots.reach(index);
        let parent = parent
            .filter(|parent| *parent != id)
            .and_then(|parent| Some((parent, self.slots.get(parent as usize)?.generation)));
        if let Some((parent, _)) = parent {
            self.slots[parent as usize].children += 1;
        }
        let slot = &mut self.slots[index];
        slot.parent = parent;
        slot.children = 0;
    }

    /// Takes a block out; says which parent has no more children now.
    pub(super) fn remove(&mut self, id: BlockId) -> Option<BlockId> {
        let slot = self.slots.get_mut(id as usize)?;
        slot.generation = slot.generation.wrapping_add(1);
        slot.children = 0;
        let (parent, generation) = slot.parent.take()?;
        let slot = self.slots.get_mut(parent as usize)?;
        if slot.generation != generation {
            return None;
        }
        slot.children = slot.children.saturating_sub(1);
        (slot.children == 0).then_some(parent)
    }

    pub(super) fn is_leaf(&self, id: BlockId) -> bool {
        self.slots
            .get(id as usize)
            .is_none_or(|slot| slot.children == 0)
    }

    /// The block before `id` in its chain, if that is still there.
    pub(super) fn parent(&self, id: BlockId) -> Option<BlockId> {
        let (parent, generation) = self.slots.get(id as usize)?.parent?;
        let slot = self.slots.get(parent as usize)?;
        (slot.generation == generation).then_some(parent)
    }
}
