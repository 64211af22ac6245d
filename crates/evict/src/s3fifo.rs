//! S3-FIFO ([Yang et al., SOSP 2023]): new blocks queue in a small FIFO, those used again there move
//! to the main one, those not used leave a ghost behind. A block that comes back while its ghost is
//! there starts in the main queue. For a block with children the leaf below it goes: so a chain goes from
//! its end, in its head's place.
//!
//! [Yang et al., SOSP 2023]: https://dl.acm.org/doi/10.1145/3600006.3613147

use super::{BlockId, Facts, PROPOSALS_MAX, Policy, slots::Chains};
use crate::paged::Paged;
use hashbrown::HashMap;
use std::collections::VecDeque;

/// The small queue's share of all blocks is one in this many.
const SMALL_SHARE: usize = 10;
/// Uses beyond this many don't count.
const USES_MAX: u8 = 3;
/// Ghosts that are kept, whatever the number of blocks.
const GHOSTS_MAX: usize = 1 << 20;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Queue {
    #[default]
    None,
    Small,
    Main,
}

#[derive(Clone, Copy, Default, Debug)]
struct Node {
    queue: Queue,
    uses: u8,
    /// An entry of a queue with another turn is of a block that has gone.
    turn: u32,
    fingerprint: u64,
    /// The child that came last, while it is there.
    child: BlockId,
}

/// One search through a queue.
#[derive(Clone, Copy, Default, Debug)]
struct Round {
    /// The first that was refused.
    first: Option<BlockId>,
    over: bool,
}

/// See the module.
#[derive(Default, Debug)]
pub struct S3Fifo {
    chains: Chains,
    nodes: Paged<Node>,
    small: VecDeque<(BlockId, u32)>,
    main: VecDeque<(BlockId, u32)>,
    small_len: usize,
    main_len: usize,
    ghosts: HashMap<u64, u64>,
    ghost_queue: VecDeque<(u64, u64)>,
    ghost_turn: u64,
    /// The head of a chain that is going, and its leaf: the way down is not gone again.
    below: Option<(BlockId, BlockId)>,
}

impl S3Fifo {
    fn push(&mut self, id: BlockId, queue: Queue) {
        let node = &mut self.nodes[id as usize];
        node.queue = queue;
        let entry = (id, node.turn);
        match queue {
            Queue::Small => {
                self.small.push_back(entry);
                self.small_len += 1;
            }
            Queue::Main => {
                self.main.push_back(entry);
                self.main_len += 1;
            }
            Queue::None => {}
        }
    }

    /// A block without children below `id`, or itself; `None` where the way to one was lost with a
    /// block that went before its siblings.
    fn leaf_below(&self, id: BlockId) -> Option<BlockId> {
        let mut at = id;
        while !self.chains.is_leaf(at) {
            let child = self.nodes[at as usize].child;
            if self.chains.parent(child) != Some(at) {
                return None;
            }
            at = child;
        }
        Some(at)
    }

    fn leave(&mut self, id: BlockId) {
        match self.nodes[id as usize].queue {
            Queue::Small => self.small_len -= 1,
            Queue::Main => self.main_len -= 1,
            Queue::None => {}
        }
        self.nodes[id as usize].queue = Queue::None;
    }

    fn remember(&mut self, fingerprint: u64) {
        self.ghost_turn += 1;
        self.ghosts.insert(fingerprint, self.ghost_turn);
        self.ghost_queue.push_back((fingerprint, self.ghost_turn));
        let most = (self.small_len + self.main_len).clamp(64, GHOSTS_MAX);
        while self.ghost_queue.len() > most {
            let Some((oldest, turn)) = self.ghost_queue.pop_front() else {
                return;
            };
            if self.ghosts.get(&oldest) == Some(&turn) {
                self.ghosts.remove(&oldest);
            }
        }
    }

    /// The head of a queue, left in its place; entries of blocks that have gone are dropped.
    fn head(&mut self, queue: Queue) -> Option<BlockId> {
        let entries = match queue {
            Queue::Small => &mut self.small,
            _ => &mut self.main,
        };
        while let Some((id, turn)) = entries.front().copied() {
            let node = self.nodes[id as usize];
            if node.turn == turn && node.queue == queue {
                return Some(id);
            }
            entries.pop_front();
        }
        None
    }

    /// The first of a queue without uses, and whether there were others before it: those stand at the
    /// end of the main queue then, with one use less, so that it ends.
    fn used_up(&mut self, queue: Queue) -> (Option<BlockId>, bool) {
        let mut moved = false;
        while let Some(id) = self.head(queue) {
            let uses = self.nodes[id as usize].uses;
            if uses == 0 {
                return (Some(id), moved);
            }
            moved = true;
            match queue {
                Queue::Small => self.requeue(id, queue, Queue::Main, 0),
                _ => self.requeue(id, queue, queue, uses - 1),
            }
        }
        (None, moved)
    }

    /// Sends the head of a queue to the end of a queue, with as many uses.
    fn requeue(&mut self, id: BlockId, from: Queue, to: Queue, uses: u8) {
        match from {
            Queue::Small => drop(self.small.pop_front()),
            _ => drop(self.main.pop_front()),
        }
        self.leave(id);
        self.nodes[id as usize].uses = uses;
        self.push(id, to);
    }
}

impl Policy for S3Fifo {
    fn inserted(&mut self, id: BlockId, facts: Facts) {
        let index = id as usize;
        self.nodes.reach(index);
        self.nodes[index] = Node {
            turn: self.nodes[index].turn.wrapping_add(1),
            fingerprint: facts.fingerprint,
            ..Node::default()
        };
        self.chains.insert(id, facts.parent);
        if let Some(parent) = self.chains.parent(id) {
            self.nodes[parent as usize].child = id;
        }
        let known = self.ghosts.remove(&facts.fingerprint).is_some();
        self.push(id, if known { Queue::Main } else { Queue::Small });
    }

    fn touched(&mut self, id: BlockId) {
        if let Some(node) = self.nodes.get_mut(id as usize) {
            node.uses = (node.uses + 1).min(USES_MAX);
        }
    }

    fn removed(&mut self, id: BlockId, evicted: bool) {
        let Some(node) = self.nodes.get(id as usize).copied() else {
            return;
        };
        self.leave(id);
        self.nodes[id as usize].turn = node.turn.wrapping_add(1);
        let parent = self.chains.remove(id);
        self.below = match self.below {
            Some((head, leaf)) if leaf == id && head != id => parent.map(|leaf| (head, leaf)),
            Some((head, _)) if head == id => None,
            kept => kept,
        };
        if evicted && node.queue == Queue::Small {
            self.remember(node.fingerprint);
        }
    }

    fn victim(&mut self, may_go: &mut dyn FnMut(BlockId) -> bool) -> Option<BlockId> {
        // A queue that has come round to the first block that was refused is asked no more.
        let (mut small, mut main) = (Round::default(), Round::default());
        for _ in 0..PROPOSALS_MAX {
            let share = (self.small_len + self.main_len) / SMALL_SHARE;
            let small_first = self.small_len > share || main.over;
            let queue = match small_first && !small.over {
                true => Queue::Small,
                false if !main.over => Queue::Main,
                false if !small.over => Queue::Small,
                false => return None,
            };
            let (found, moved) = self.used_up(queue);
            if moved {
                main = Round::default(); // others stand at its end now
            }
            let round = match queue {
                Queue::Small => &mut small,
                _ => &mut main,
            };
            let Some(id) = found else {
                round.over = true;
                continue;
            };
            if round.first == Some(id) {
                round.over = true;
                continue;
            }
            let from = match self.below {
                Some((head, leaf)) if head == id => leaf,
                _ => id,
            };
            // Who needs the block needs what follows it too, mostly.
            if may_go(id)
                && let Some(leaf) = self.leaf_below(from)
                && (leaf == id || may_go(leaf))
            {
                self.below = Some((id, leaf));
                return Some(leaf);
            }
            // Its time has not come: it stands at the end of its queue again.
            round.first.get_or_insert(id);
            self.requeue(id, queue, queue, 0);
        }
        None
    }
}
