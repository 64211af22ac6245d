//! Free blocks in the order in which they will be taken: a doubly linked list over block numbers,
//! so that a block that is used again leaves from its middle.

use crate::blocks::BlockId;

/// No block: 0 is reserved and never free.
const END: BlockId = 0;

#[derive(Clone, Copy, Debug, Default)]
struct Link {
    before: BlockId,
    after: BlockId,
}

/// A list of free blocks.
#[derive(Debug)]
pub(crate) struct FreeList {
    /// By block; those of block 0 are the list's last and first.
    links: Vec<Link>,
    length: usize,
}

impl FreeList {
    /// All blocks from `first` on, in order.
    pub(crate) fn new(first: BlockId, end: BlockId) -> Self {
        let mut list = Self {
            links: vec![Link::default(); end.max(1) as usize],
            length: 0,
        };
        (first.max(1)..end).for_each(|block| list.push(block));
        list
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Takes the first.
    pub(crate) fn pop(&mut self) -> Option<BlockId> {
        let first = self.after(END);
        (first != END).then(|| {
            self.remove(first);
            first
        })
    }

    /// Puts a block behind the last.
    pub(crate) fn push(&mut self, block: BlockId) {
        self.insert(block, self.before(END));
    }

    /// Puts a block before the first.
    pub(crate) fn push_front(&mut self, block: BlockId) {
        self.insert(block, END);
    }

    /// Takes a block out that is in the list.
    pub(crate) fn remove(&mut self, block: BlockId) {
        let (before, after) = (self.before(block), self.after(block));
        self.join(before, after);
        self.length -= 1;
    }

    fn insert(&mut self, block: BlockId, before: BlockId) {
        let after = self.after(before);
        self.join(before, block);
        self.join(block, after);
        self.length += 1;
    }

    fn join(&mut self, before: BlockId, after: BlockId) {
        if let Some(link) = self.links.get_mut(before as usize) {
            link.after = after;
        }
        if let Some(link) = self.links.get_mut(after as usize) {
            link.before = before;
        }
    }

    fn before(&self, block: BlockId) -> BlockId {
        self.links
            .get(block as usize)
            .map_or(END, |link| link.before)
    }

    fn after(&self, block: BlockId) -> BlockId {
        self.links
            .get(block as usize)
            .map_or(END, |link| link.after)
    }
}
