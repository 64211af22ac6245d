//! Hit density: of the leaves, the one that promises the fewest hits for the room and time that it
//! takes.
//!
//! ```text
//! use ─▶ class of the block ─▶ how long blocks of that class wait for their next use (lives)
//!                                   │
//! room wanted ─▶ oldest leaf of each class, valued at its age ─▶ the least goes
//! ```
//!
//! A block's class says whether it was used since it came, once or oftener, and how long before its
//! last use the one before was (its rhythm). Waits are learned from one block in eight, which leave
//! ghosts behind: a class that is always evicted early would never show that it comes back late. See
//! docs/eviction.md.
//!
//! For a block it takes at most 40 bytes, ghosts and chains included (a test counts them).

mod class;
mod lives;

use super::{
    BlockId, Facts, PROPOSALS_MAX, Policy,
    ghosts::{self, Ghost, Ghosts},
    heap::{Heap, Uses},
    slots::Chains,
};
use crate::paged::Paged;
use class::{CLASSES, Class};
use lives::Lives;

/// Uses closer together than this part of the resident blocks are one: a look-up and its load.
const ONE_USE: u32 = 64;
/// Values are made anew after uses in number of this part of the resident blocks ...
const REFRESH_SHARE: u32 = 4;
/// ... but not oftener than this.
const REFRESH_MIN: u32 = 1024;

/// What is known of a block, in one byte.
#[derive(Clone, Copy, Default, Debug)]
struct Node(u8);

impl Node {
    /// It had been there before it came, as far as the sample tells, and was not used since.
    const CAME_BACK: u8 = 1 << 6;
    /// Waits are learned from it.
    const SAMPLED: u8 = 1 << 7;

    fn class(self) -> Class {
        Class(self.0 & !(Self::CAME_BACK | Self::SAMPLED))
    }

    fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    fn with(class: Class, came_back: bool, sampled: bool) -> Self {
        let flags = (u8::from(came_back) * Self::CAME_BACK) | (u8::from(sampled) * Self::SAMPLED);
        Self(class.0 | flags)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Density {
    chains: Chains,
    nodes: Paged<Node>,
    uses: Uses,
    /// Blocks without children by class, oldest use first.
    leaves: Vec<Heap>,
    /// Classes that have leaves.
    peopled: Vec<u8>,
    ghosts: Ghosts,
    lives: Lives,
    resident: u32,
    now: u32,
    refresh_at: u32,
}

impl Default for Density {
    fn default() -> Self {
        Self {
            chains: Chains::default(),
            nodes: Paged::default(),
            uses: Uses::default(),
            leaves: (0..CLASSES).map(|_| Heap::default()).collect(),
            peopled: Vec::new(),
            ghosts: Ghosts::default(),
            lives: Lives::default(),
            resident: 0,
            now: 0,
            refresh_at: REFRESH_MIN,
        }
    }
}

impl Density {
    fn tick(&mut self) {
        self.now += 1;
        if self.now >= self.refresh_at {
            self.lives.refresh(self.resident);
            self.ghosts.grow(self.resident);
            let pause = (self.resident / REFRESH_SHARE).max(REFRESH_MIN);
            self.refresh_at = self.now.saturating_add(pause);
        }
        if self.now == u32::MAX {
            self.rewind();
        }
    }

    /// Uses have been counted to the end: all ages are cut to half of that.
    fn rewind(&mut self) {
        let cut = self.now / 2;
        self.now -= cut;
        self.refresh_at = self.now + REFRESH_MIN;
        self.uses.rewind(cut);
        self.ghosts.rewind(cut);
    }

    /// As after so many uses of blocks that have gone.
    #[cfg(test)]
    pub(crate) fn skip_to(&mut self, uses: u32) {
        self.now = uses;
        self.refresh_at = uses + 1;
    }

    fn node(&self, id: BlockId) -> Node {
        self.nodes.get(id as usize).copied().unwrap_or_default()
    }

    fn leaf(&mut self, id: BlockId) {
        let class = self.node(id).class();
        let leaves = &mut self.leaves[class.place()];
        if leaves.is_empty() {
            self.peopled.push(class.0);
        }
        leaves.insert(id, &mut self.uses);
    }

    fn no_leaf(&mut self, id: BlockId) -> bool {
        let class = self.node(id).class();
        let leaves = &mut self.leaves[class.place()];
        let was_there = leaves.remove(id, &mut self.uses);
        if was_there && leaves.is_empty() {
            self.peopled.retain(|each| *each != class.0);
        }
        was_there
    }

    /// What a block used last at that time is worth. One of the use that goes on now is worth more
    /// than any: its chain's next block may be on the way.
    fn worth(&self, class: usize, used: u32) -> f32 {
        match self.now - used {
            age if age <= self.resident / ONE_USE => f32::INFINITY,
            age => self.lives.value(class, age),
        }
    }

    /// What the oldest leaf of a class is worth, and which that is.
    fn oldest(&self, class: usize) -> Option<(f32, u32, BlockId)> {
        let id = self.leaves.get(class)?.first()?;
        let used = self.uses.last(id);
        Some((self.worth(class, used), used, id))
    }

    /// All leaves, the least worth of each class's oldest first.
    fn search(&self, may_go: &mut dyn FnMut(BlockId) -> bool) -> Option<BlockId> {
        let leaves = self.leaves.iter();
        let mut queues: Vec<_> = leaves
            .map(|each| each.iter(&self.uses).peekable())
            .collect();
        for _ in 0..PROPOSALS_MAX {
            let heads = queues.iter_mut().enumerate();
            let valued = heads.filter_map(|(class, queue)| {
                let id = *queue.peek()?;
                let used = self.uses.last(id);
                Some((self.worth(class, used), used, id, class))
            });
            let (.., id, class) = valued.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))?;
            queues[class].next();
            if may_go(id) {
                return Some(id);
            }
        }
        None
    }
}

impl Policy for Density {
    fn inserted(&mut self, id: BlockId, facts: Facts) {
        self.tick();
        self.resident += 1;
        self.nodes.reach(id as usize);
        self.chains.insert(id, facts.parent);
        let parent = self.chains.parent(id);
        // What follows a block that came back came back with it, until a block of the sample that
        // has no ghost says otherwise.
        let before = parent.map(|parent| self.node(parent));
        let mut came_back = before.is_some_and(|before| before.has(Node::CAME_BACK));
        let mut class = match before {
            Some(before) if came_back => before.class(),
            _ => Class::default(),
        };
        let sampled = ghosts::is_sampled(facts.fingerprint);
        if sampled {
            let ghost = self.ghosts.take(facts.fingerprint);
            came_back = ghost.is_some();
            class = Class::default();
            if let Some(ghost) = ghost {
                let age = self.now.saturating_sub(ghost.used);
                let before = Class(ghost.class);
                self.lives.used(before.place(), age);
                class = before.again(age);
            }
        }
        self.nodes[id as usize] = Node::with(class, came_back, sampled);
        self.uses.set(id, self.now);
        if let Some(parent) = parent {
            self.no_leaf(parent);
        }
        self.leaf(id);
    }

    fn touched(&mut self, id: BlockId) {
        self.tick();
        let Some(node) = self.nodes.get(id as usize).copied() else {
            return;
        };
        let was_leaf = self.no_leaf(id);
        let age = self.now - self.uses.last(id);
        let sampled = node.has(Node::SAMPLED);
        let mut class = node.class();
        if age > self.resident / ONE_USE {
            if sampled {
                self.lives.used(class.place(), age);
            }
            class = class.again(age);
        }
        self.nodes[id as usize] = Node::with(class, false, sampled);
        self.uses.set(id, self.now);
        if was_leaf {
            self.leaf(id);
        }
    }

    fn removed(&mut self, id: BlockId, evicted: Option<u64>) {
        let Some(node) = self.nodes.get(id as usize).copied() else {
            return;
        };
        self.no_leaf(id);
        self.resident = self.resident.saturating_sub(1);
        if let Some(parent) = self.chains.remove(id) {
            self.leaf(parent);
        }
        let Some(fingerprint) = evicted.filter(|_| node.has(Node::SAMPLED)) else {
            return;
        };
        let ghost = Ghost {
            used: self.uses.last(id),
            class: node.class().0,
        };
        if let Some(ghost) = self.ghosts.add(fingerprint, ghost) {
            let age = self.now.saturating_sub(ghost.used);
            self.lives.lost(Class(ghost.class).place(), age);
        }
    }

    fn victim(&mut self, may_go: &mut dyn FnMut(BlockId) -> bool) -> Option<BlockId> {
        let peopled = self.peopled.iter();
        let valued = peopled.filter_map(|class| self.oldest(usize::from(*class)));
        let (.., id) = valued.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))?;
        if may_go(id) {
            return Some(id);
        }
        self.search(may_go)
    }
}
