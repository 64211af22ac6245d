//! The region, shared by all who reserve and all who let go.

use super::{
    PAGE,
    block::Draft,
    runs::{FreeRuns, Runs},
};
use bytes::{Buf as _, BytesMut};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::Notify;

/// The region that blocks lie in.
#[derive(Clone, Debug)]
pub struct Arena(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    free: Mutex<FreeRuns>,
    pages: usize,
    freed: Notify,
}

impl Arena {
    /// Reserves `bytes` of memory, rounded down to pages. Pages are taken from the system when
    /// they are first written to.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let pages = bytes / PAGE;
        // One page more, so that the first one can begin where a page begins.
        let mut region = BytesMut::zeroed((pages + 1) * PAGE);
        let ahead = region.as_ptr().align_offset(PAGE);
        if ahead < PAGE {
            region.advance(ahead);
        }
        region.truncate(pages * PAGE);
        Self(Arc::new(Shared {
            free: Mutex::new(FreeRuns::new(region)),
            pages,
            freed: Notify::new(),
        }))
    }

    /// All pages, free and taken.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.0.pages
    }

    /// Free pages.
    #[must_use]
    pub fn free_pages(&self) -> usize {
        self.0.free.lock().pages()
    }

    /// A place for a block of `len` bytes; `None` where there is no room.
    #[must_use]
    pub fn draft(&self, len: usize) -> Option<Draft> {
        let pages = Draft::pages(len);
        let runs = match pages {
            0 => Runs::One(BytesMut::zeroed(len)),
            pages => self.0.free.lock().take(pages)?,
        };
        Some(Draft::new(self.clone(), runs, len))
    }

    /// Pages that must come free, at least, before there is a place for a block of `len` bytes.
    #[must_use]
    pub fn shortfall(&self, len: usize) -> usize {
        match Draft::pages(len) {
            0 => 0,
            pages => self.0.free.lock().shortfall(pages),
        }
    }

    /// Told each time that pages come free.
    pub(crate) fn freed(&self) -> &Notify {
        &self.0.freed
    }

    /// Runs of a block of `len` bytes come back.
    pub(super) fn give_back(&self, runs: &mut Runs, len: usize) {
        if Draft::pages(len) > 0 {
            self.0.free.lock().put_all(runs.as_mut_slice());
            self.0.freed.notify_waiters();
        }
    }
}
