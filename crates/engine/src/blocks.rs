//! The block cache, as vLLM's `BlockPool` keeps it: a fixed number of blocks, each free or in use
//! by requests, each with a name once it is full.
//!
//! A free block keeps its name until it is taken for something else: then it is evicted. Free
//! blocks are taken in the order of their list. Named ones are appended to it as they are freed,
//! those without a name go to its front; a request frees its last block first, so that tails are
//! evicted before heads. Equal blocks are not merged: two requests that compute the same prefix at
//! the same time hold it twice, and both copies are told of.

use crate::free_list::FreeList;
use onefill_kv::{BuildAsIs, EngineHash, engine_hash::Digest};
use std::collections::HashMap;

/// Number of a block.
pub(crate) type BlockId = u32;

/// vLLM keeps block 0 for itself.
pub(crate) const BLOCKS_RESERVED: u32 = 1;

#[derive(Clone, Copy, Debug, Default)]
struct Block {
    name: Option<Digest>,
    users: u32,
}

/// Blocks of one name: nearly always one.
#[derive(Debug)]
enum Copies {
    One(BlockId),
    /// In the order in which they were named; two or more.
    Many(Vec<BlockId>),
}

/// All blocks of a replica.
#[derive(Debug)]
pub(crate) struct BlockCache {
    blocks: Vec<Block>,
    named: HashMap<EngineHash, Copies, BuildAsIs>,
    free: FreeList,
}

impl BlockCache {
    /// `blocks`: all of them, the reserved one too.
    pub(crate) fn new(blocks: u32) -> Self {
        Self {
            blocks: vec![Block::default(); blocks as usize],
            named: HashMap::default(),
            free: FreeList::new(BLOCKS_RESERVED, blocks),
        }
    }

    /// Blocks that could be taken.
    pub(crate) fn free(&self) -> usize {
        self.free.len()
    }

    /// Share of the blocks that requests use, 0 to 1.
    pub(crate) fn usage(&self) -> f64 {
        let all = self.blocks.len() - BLOCKS_RESERVED as usize;
        1.0 - self.free.len() as f64 / all.max(1) as f64
    }

    /// Different names.
    pub(crate) fn named(&self) -> usize {
        self.named.len()
    }

    /// The first of the blocks with this name.
    pub(crate) fn find(&self, name: &Digest) -> Option<BlockId> {
        match self.named.get(&name.engine_hash())? {
            Copies::One(block) => Some(*block),
            Copies::Many(blocks) => blocks.first().copied(),
        }
    }

    /// Whether nobody uses the block, so that using it makes one free block less.
    pub(crate) fn is_free(&self, block: BlockId) -> bool {
        self.at(block).is_some_and(|block| block.users == 0)
    }

    /// One more request uses the block.
    pub(crate) fn share(&mut self, block: BlockId) {
        let Some(entry) = self.blocks.get_mut(block as usize) else {
            return;
        };
        if entry.users == 0 {
            self.free.remove(block);
        }
        entry.users += 1;
    }

    /// Takes a free block for a request; its old name goes to `evicted`. `None`: all are in use.
    pub(crate) fn take(&mut self, evicted: &mut Vec<Digest>) -> Option<BlockId> {
        let block = self.free.pop()?;
        let entry = self.blocks.get_mut(block as usize)?;
        entry.users = 1;
        if let Some(name) = entry.name.take() {
            self.forget(name, block);
            evicted.push(name);
        }
        Some(block)
    }

    /// The block is full: others may find it from now on.
    pub(crate) fn name(&mut self, block: BlockId, name: Digest) {
        let Some(entry) = self.blocks.get_mut(block as usize) else {
            return;
        };
        debug_assert!(entry.name.is_none(), "a block fills once");
        entry.name = Some(name);
        self.named
            .entry(name.engine_hash())
            .and_modify(|copies| match copies {
                Copies::One(first) => *copies = Copies::Many(vec![*first, block]),
                Copies::Many(blocks) => blocks.push(block),
            })
            .or_insert(Copies::One(block));
    }

    /// A request no longer uses its blocks, given first to last.
    pub(crate) fn release(&mut self, blocks: &[BlockId]) {
        let mut nameless = Vec::new();
        for block in blocks.iter().rev().copied() {
            let Some(entry) = self.blocks.get_mut(block as usize) else {
                continue;
            };
            debug_assert!(entry.users > 0, "only blocks in use are released");
            entry.users -= 1;
            match (entry.users, entry.name) {
                (0, Some(_)) => self.free.push(block),
                (0, None) => nameless.push(block),
                _ => {}
            }
        }
        for block in nameless.into_iter().rev() {
            self.free.push_front(block);
        }
    }

    /// Takes all names away; refused (false) while a block is in use.
    pub(crate) fn clear(&mut self) -> bool {
        if self.free.len() + (BLOCKS_RESERVED as usize) < self.blocks.len() {
            return false;
        }
        self.named.clear();
        self.blocks.iter_mut().for_each(|block| block.name = None);
        true
    }

    fn at(&self, block: BlockId) -> Option<&Block> {
        self.blocks.get(block as usize)
    }

    fn forget(&mut self, name: Digest, block: BlockId) {
        let key = name.engine_hash();
        let Some(copies) = self.named.get_mut(&key) else {
            return;
        };
        match copies {
            Copies::One(_) => {
                self.named.remove(&key);
            }
            Copies::Many(blocks) => {
                blocks.retain(|other| *other != block);
                if let [last] = blocks.as_slice() {
                    *copies = Copies::One(*last);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
