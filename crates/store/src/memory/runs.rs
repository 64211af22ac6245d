//! Free runs of pages: best fit, joined with their neighbours when they come back.

use super::PAGE;
use bytes::BytesMut;
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};

/// Runs that one block may be in: a bound on what the IO vectors and the block's own record hold.
pub(super) const RUNS_MAX: usize = 64;

/// The runs that one block is in: one as a rule, which then lies in the block itself.
#[derive(Debug)]
pub(super) enum Runs {
    /// One.
    One(BytesMut),
    /// More, in order.
    More(Box<[BytesMut]>),
}

impl Runs {
    pub(super) fn of(mut runs: SmallVec<[BytesMut; 1]>) -> Self {
        match runs.len() {
            0 | 1 => Self::One(runs.pop().unwrap_or_default()),
            _ => Self::More(runs.into_boxed_slice()),
        }
    }

    pub(super) fn as_slice(&self) -> &[BytesMut] {
        match self {
            Self::One(run) => std::slice::from_ref(run),
            Self::More(runs) => runs,
        }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [BytesMut] {
        match self {
            Self::One(run) => std::slice::from_mut(run),
            Self::More(runs) => runs,
        }
    }

    /// Bytes that they take beside their own and the region's.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::One(_) => 0,
            Self::More(runs) => size_of_val(&**runs),
        }
    }
}

/// Runs that no block is in.
#[derive(Debug)]
pub(super) struct FreeRuns {
    base: usize,
    by_page: BTreeMap<usize, BytesMut>,
    /// Length in pages, first page: the shortest that fits, the lowest of those.
    by_len: BTreeSet<(usize, usize)>,
    pages: usize,
}

impl FreeRuns {
    /// The whole region is free. Its length must be a multiple of a page.
    pub(super) fn new(region: BytesMut) -> Self {
        let mut free = Self {
            base: region.as_ptr().addr(),
            by_page: BTreeMap::new(),
            by_len: BTreeSet::new(),
            pages: 0,
        };
        if !region.is_empty() {
            free.put(region);
        }
        free
    }

    /// Free pages.
    pub(super) fn pages(&self) -> usize {
        self.pages
    }

    /// Pages that must come free, at least, before `pages` can be taken; 0 where they can be.
    pub(super) fn shortfall(&self, pages: usize) -> usize {
        if self
            .by_len
            .last()
            .is_some_and(|(longest, _)| *longest >= pages)
        {
            return 0;
        }
        let longest = self.by_len.iter().rev().take(RUNS_MAX);
        let most: usize = longest.map(|(len, _)| len).sum();
        pages.saturating_sub(most)
    }

    fn page_of(&self, run: &BytesMut) -> usize {
        (run.as_ptr().addr() - self.base) / PAGE
    }

    /// Takes `pages` pages in as few runs as can be; `None` where that many are not free, or only
    /// in more than [`RUNS_MAX`] runs.
    pub(super) fn take(&mut self, pages: usize) -> Option<Runs> {
        if self.shortfall(pages) > 0 {
            return None;
        }
        let mut runs = SmallVec::new();
        let mut left = pages;
        while left > 0 {
            let fits = self.by_len.range((left, 0)..).next();
            let chosen = fits.or_else(|| self.by_len.last()).copied();
            let found = chosen.filter(|_| runs.len() < RUNS_MAX);
            let Some((len, first)) = found else {
                self.put_all(&mut runs);
                return None;
            };
            let taken = len.min(left);
            runs.push(self.cut(first, len, taken)?);
            left -= taken;
        }
        Some(Runs::of(runs))
    }

    /// Takes the first `taken` pages of the free run at `first`.
    fn cut(&mut self, first: usize, len: usize, taken: usize) -> Option<BytesMut> {
        let mut run = self.by_page.remove(&first)?;
        self.by_len.remove(&(len, first));
        self.pages -= len;
        let cut = run.split_to(taken * PAGE);
        if !run.is_empty() {
            self.insert(run);
        }
        Some(cut)
    }

    /// These runs are free again.
    pub(super) fn put_all(&mut self, runs: &mut [BytesMut]) {
        for run in runs {
            self.put(std::mem::take(run));
        }
    }

    fn put(&mut self, mut run: BytesMut) {
        let first = self.page_of(&run);
        let before = self.by_page.range(..first).next_back();
        let before = before.map(|(page, run)| (*page, run.len() / PAGE));
        if let Some((page, len)) = before.filter(|(page, len)| page + len == first)
            && let Some(mut joined) = self.remove(page, len)
        {
            joined.unsplit(run);
            run = joined;
        }
        let end = self.page_of(&run) + run.len() / PAGE;
        let after = self.by_page.get(&end).map(|run| run.len() / PAGE);
        if let Some(after) = after.and_then(|len| self.remove(end, len)) {
            run.unsplit(after);
        }
        self.insert(run);
    }

    fn remove(&mut self, page: usize, len: usize) -> Option<BytesMut> {
        self.by_len.remove(&(len, page));
        let run = self.by_page.remove(&page)?;
        self.pages -= len;
        Some(run)
    }

    fn insert(&mut self, run: BytesMut) {
        let (page, len) = (self.page_of(&run), run.len() / PAGE);
        self.pages += len;
        self.by_len.insert((len, page));
        self.by_page.insert(page, run);
    }
}
