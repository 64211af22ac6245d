//! S3-FIFO ([Yang et al., SOSP 2023]): new blocks queue in a small FIFO, those used again there move
//! to the main one, those not used leave a ghost behind. A block that comes back while its ghost is
//! there starts in the main queue. For a block with children the leaf below it goes: so a chain goes from
//! its end, in its head's place.
//!
//! [Yang et al., SOSP 2023]: https://dl.acm.org/doi/10.1145/3600006.3613147

use super::{
    BlockId, Facts, PROPOSALS_MAX, Policy,
    ghosts::{Ghost, Ghosts},
    slots::Chains,
};
use crate::paged::Paged;

/// The small queue's share of all blocks is one in this many.
const SMALL_SHARE: usize = 10;
/// Uses beyond this many don't count.
const USES_MAX: u8 = 3;
/// Ghosts are told apart by when they came to so many.
const GHOST_STEP: u32 = 64;
/// Nobody: the end of a queue.
const NOBODY: BlockId = BlockId::MAX;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Queue {
    #[default]
    None,
    Small,
    Main,
}

/// A block's queue, and behind two bits its uses.
#[derive(Clone, Copy, Default, Debug)]
struct State(u8);

impl State {
    fn new(queue: Queue, uses: u8) -> Self {
        Self(queue as u8 | uses << 2)
    }

    fn queue(self) -> Queue {
        [Queue::None, Queue::Small, Queue::Main, Queue::None][usize::from(self.0 & 3)]
    }

    fn uses(self) -> u8 {
        self.0 >> 2
    }
}

#[derive(Clone, Copy, Default, Debug)]
struct Node {
    /// Its neighbours in its queue.
    before: BlockId,
    behind: BlockId,
    /// The child that came last, while it is there.
    child: BlockId,
}

/// A queue's ends.
#[derive(Clone, Copy, Debug)]
struct Line {
    first: BlockId,
    last: BlockId,
    len: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            first: NOBODY,
            last: NOBODY,
            len: 0,
        }
    }
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
    states: Paged<State>,
    small: Line,
    main: Line,
    ghosts: Ghosts,
    /// Ghosts that came, ever.
    turn: u32,
    /// The head of a chain that is going, and its leaf: the way down is not gone again.
    below: Option<(BlockId, BlockId)>,
}

impl S3Fifo {
    fn line(&mut self, queue: Queue) -> &mut Line {
        match queue {
            Queue::Main => &mut self.main,
            _ => &mut self.small,
        }
    }

    /// At the end of a queue.
    fn push(&mut self, id: BlockId, queue: Queue) {
        let state = &mut self.states[id as usize];
        *state = State::new(queue, state.uses());
        let line = self.line(queue);
        let last = std::mem::replace(&mut line.last, id);
        line.len += 1;
        if last == NOBODY {
            line.first = id;
        } else {
            self.nodes[last as usize].behind = id;
        }
        let node = &mut self.nodes[id as usize];
        (node.before, node.behind) = (last, NOBODY);
    }

    /// Out of its queue, if it is in one.
    fn leave(&mut self, id: BlockId) {
        let state = &mut self.states[id as usize];
        let queue = state.queue();
        *state = State::new(Queue::None, state.uses());
        if queue == Queue::None {
            return;
        }
        let Node { before, behind, .. } = self.nodes[id as usize];
        let line = self.line(queue);
        line.len -= 1;
        if before == NOBODY {
            line.first = behind;
        }
        if behind == NOBODY {
            line.last = before;
        }
        if let Some(node) = self.nodes.get_mut(before as usize) {
            node.behind = behind;
        }
        if let Some(node) = self.nodes.get_mut(behind as usize) {
            node.before = before;
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

    fn resident(&self) -> usize {
        self.small.len + self.main.len
    }

    fn remember(&mut self, fingerprint: u64) {
        self.turn += 1;
        self.ghosts.grow(self.resident() as u32);
        let ghost = Ghost {
            used: self.turn,
            class: 0,
        };
        self.ghosts.add(fingerprint, ghost);
        if self.turn == u32::MAX {
            let cut = self.turn / 2;
            self.turn -= cut;
            self.ghosts.rewind(cut);
        }
    }

    /// Whether a block went lately: when no more ghosts came since than there are blocks.
    fn knows(&mut self, fingerprint: u64) -> bool {
        let most = (self.resident() as u32).saturating_add(GHOST_STEP);
        let ghost = self.ghosts.take(fingerprint);
        ghost.is_some_and(|ghost| self.turn - ghost.used.min(self.turn) <= most)
    }

    /// The first of a queue without uses, and whether there were others before it: those stand at the
    /// end of the main queue then, with one use less, so that it ends.
    fn used_up(&mut self, queue: Queue) -> (Option<BlockId>, bool) {
        let mut moved = false;
        while let Some(id) = self.head(queue) {
            let uses = self.states[id as usize].uses();
            if uses == 0 {
                return (Some(id), moved);
            }
            moved = true;
            match queue {
                Queue::Small => self.requeue(id, Queue::Main, 0),
                _ => self.requeue(id, queue, uses - 1),
            }
        }
        (None, moved)
    }

    fn head(&mut self, queue: Queue) -> Option<BlockId> {
        let first = self.line(queue).first;
        (first != NOBODY).then_some(first)
    }

    /// Sends a block to the end of a queue, with as many uses.
    fn requeue(&mut self, id: BlockId, to: Queue, uses: u8) {
        self.leave(id);
        self.states[id as usize] = State::new(Queue::None, uses);
        self.push(id, to);
    }
}

impl Policy for S3Fifo {
    fn inserted(&mut self, id: BlockId, facts: Facts) {
        self.nodes.reach(id as usize);
        self.states.reach(id as usize);
        self.states[id as usize] = State::default();
        self.chains.insert(id, facts.parent);
        if let Some(parent) = self.chains.parent(id) {
            self.nodes[parent as usize].child = id;
        }
        let known = self.knows(facts.fingerprint);
        self.push(id, if known { Queue::Main } else { Queue::Small });
    }

    fn touched(&mut self, id: BlockId) {
        if let Some(state) = self.states.get_mut(id as usize) {
            *state = State::new(state.queue(), (state.uses() + 1).min(USES_MAX));
        }
    }

    fn removed(&mut self, id: BlockId, evicted: Option<u64>) {
        let Some(state) = self.states.get(id as usize).copied() else {
            return;
        };
        self.leave(id);
        let parent = self.chains.remove(id);
        self.below = match self.below {
            Some((head, leaf)) if leaf == id && head != id => parent.map(|leaf| (head, leaf)),
            Some((head, _)) if head == id => None,
            kept => kept,
        };
        if let Some(fingerprint) = evicted.filter(|_| state.queue() == Queue::Small) {
            self.remember(fingerprint);
        }
    }

    fn victim(&mut self, may_go: &mut dyn FnMut(BlockId) -> bool) -> Option<BlockId> {
        // A queue that has come round to the first block that was refused is asked no more.
        let (mut small, mut main) = (Round::default(), Round::default());
        for _ in 0..PROPOSALS_MAX {
            let share = self.resident() / SMALL_SHARE;
            let small_first = self.small.len > share || main.over;
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
            self.requeue(id, queue, 0);
        }
        None
    }
}
