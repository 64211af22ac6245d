//! Promises that a block stays readable: how many pages they hold, and when they lapse.

use std::collections::VecDeque;

/// Promises that may be open at once.
const LEASES_MAX: usize = 1 << 16;

#[derive(Debug)]
pub(super) struct Leases {
    /// When a promise lapses, to which slot and serial it was given. In the order in which they
    /// were given, which is that of their ends as long as all last equally long.
    queue: VecDeque<(u64, u32, u32)>,
    pages: usize,
    pages_max: usize,
}

impl Leases {
    pub(super) fn new(pages_max: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            pages: 0,
            pages_max,
        }
    }

    /// Whether another block of `pages` pages may be promised.
    pub(super) fn has_room(&self, pages: usize) -> bool {
        self.pages + pages <= self.pages_max && self.queue.len() < LEASES_MAX
    }

    /// Pages that are promised.
    pub(super) fn pages(&self) -> usize {
        self.pages
    }

    pub(super) fn hold(&mut self, pages: usize) {
        self.pages += pages;
    }

    pub(super) fn let_go(&mut self, pages: usize) {
        self.pages = self.pages.saturating_sub(pages);
    }

    pub(super) fn queue(&mut self, until_ms: u64, id: u32, serial: u32) {
        self.queue.push_back((until_ms, id, serial));
    }

    /// The next promise whose time is over.
    pub(super) fn lapsed(&mut self, now_ms: u64) -> Option<(u32, u32)> {
        let (until, id, serial) = *self.queue.front()?;
        if until > now_ms {
            return None;
        }
        self.queue.pop_front();
        Some((id, serial))
    }
}
