//! Promises that a block stays readable: to whom, how many pages they hold, and when they lapse.

use hashbrown::HashMap;
use std::collections::VecDeque;

/// Promises that may be open at once.
const LEASES_MAX: usize = 1 << 16;

/// What was promised of one block.
#[derive(Clone, Copy, Debug)]
struct Lease {
    /// Promises, each until it is fetched.
    count: u32,
    pages: usize,
    /// When the last of them lapses.
    until_ms: u64,
}

#[derive(Debug)]
pub(super) struct Leases {
    open: HashMap<u32, Lease>,
    /// When a promise lapses, and to which slot it was given. In the order in which they were given,
    /// which is that of their ends as long as all last equally long.
    queue: VecDeque<(u64, u32)>,
    pages: usize,
    pages_max: usize,
}

impl Leases {
    pub(super) fn new(pages_max: usize) -> Self {
        Self {
            open: HashMap::new(),
            queue: VecDeque::new(),
            pages: 0,
            pages_max,
        }
    }

    /// Pages that are promised.
    pub(super) fn pages(&self) -> usize {
        self.pages
    }

    /// Whether a block was promised.
    pub(super) fn hold(&self, id: u32, now_ms: u64) -> bool {
        let lease = self.open.get(&id);
        lease.is_some_and(|lease| lease.until_ms > now_ms)
    }

    /// Promises a block of so many pages, if there is room for that.
    pub(super) fn give(&mut self, id: u32, pages: usize, until_ms: u64) {
        let has_room = self.pages + pages <= self.pages_max && self.queue.len() < LEASES_MAX;
        let lease = match self.open.get_mut(&id) {
            Some(lease) => lease,
            None if !has_room => return,
            None => {
                self.pages += pages;
                self.open.entry(id).or_insert(Lease {
                    count: 0,
                    pages,
                    until_ms,
                })
            }
        };
        lease.count = lease.count.saturating_add(1);
        lease.until_ms = until_ms;
        self.queue.push_back((until_ms, id));
    }

    /// One of a block's promises was kept.
    pub(super) fn kept(&mut self, id: u32) {
        if let Some(lease) = self.open.get_mut(&id) {
            lease.count -= 1;
            if lease.count == 0 {
                self.end(id);
            }
        }
    }

    /// All of a block's promises are over.
    pub(super) fn end(&mut self, id: u32) {
        if let Some(lease) = self.open.remove(&id) {
            self.pages -= lease.pages;
        }
    }

    /// Forgets promises whose time is over.
    pub(super) fn lapse(&mut self, now_ms: u64) {
        while let Some((until, id)) = self.queue.front().copied()
            && until <= now_ms
        {
            self.queue.pop_front();
            if !self.hold(id, now_ms) {
                self.end(id);
            }
        }
    }
}
