//! A block's bytes: a draft while they come in, a block once all are there.

use super::{PAGE, arena::Arena, runs::Runs};
use std::io::IoSlice;

/// Values up to this long are kept beside their record, not in pages: the shape that the `redis://`
/// client of `LMCache` keeps for each block has 28 bytes.
pub const INLINE_MAX: usize = 64;

/// Where the bytes lie.
#[derive(Debug)]
struct Place {
    arena: Arena,
    /// Pages of the arena; a short value's bytes are its own.
    runs: Runs,
    len: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.arena.give_back(&mut self.runs, self.len);
    }
}

impl Place {
    /// Bytes from `at` to the end of the run that holds it.
    fn rest(&self, at: usize) -> &[u8] {
        let mut start = 0;
        for run in self.runs.as_slice() {
            let end = start + run.len();
            if at < end {
                return &run[at - start..run.len().min(self.len - start)];
            }
            start = end;
        }
        &[]
    }
}

/// A block that is being written. Nobody else can see it.
pub struct Draft {
    place: Place,
    filled: usize,
    hasher: twox_hash::XxHash3_128,
}

impl Draft {
    pub(super) fn new(arena: Arena, runs: Runs, len: usize) -> Self {
        Self {
            place: Place { arena, runs, len },
            filled: 0,
            hasher: twox_hash::XxHash3_128::new(),
        }
    }

    /// Pages that a block of `len` bytes takes.
    #[must_use]
    pub fn pages(len: usize) -> usize {
        if len <= INLINE_MAX {
            0
        } else {
            len.div_ceil(PAGE)
        }
    }

    /// Bytes that the block will have.
    #[must_use]
    pub fn len(&self) -> usize {
        self.place.len
    }

    /// Whether it is a block of nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.place.len == 0
    }

    /// Bytes that are still to come.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.place.len - self.filled
    }

    /// Where the next bytes belong, up to `most` of them; empty once all are there.
    pub fn room(&mut self, most: usize) -> &mut [u8] {
        let (at, len) = (self.filled, self.place.len);
        let mut start = 0;
        for run in self.place.runs.as_mut_slice() {
            let end = start + run.len();
            if at < end {
                let to = run.len().min(len - start).min(at - start + most);
                return &mut run[at - start..to];
            }
            start = end;
        }
        &mut []
    }

    /// `count` bytes were written into [`Self::room`]. They are hashed now, while they are in the
    /// processor's cache.
    pub fn advance(&mut self, count: usize) {
        let fresh = &self.place.rest(self.filled)[..count];
        self.hasher.write(fresh);
        self.filled += count;
    }

    /// Copies bytes in, as many as there is room for; says how many.
    pub fn copy_from(&mut self, bytes: &[u8]) -> usize {
        let mut copied = 0;
        while copied < bytes.len() && self.missing() > 0 {
            let room = self.room(bytes.len() - copied);
            let count = room.len();
            room.copy_from_slice(&bytes[copied..copied + count]);
            self.advance(count);
            copied += count;
        }
        copied
    }

    /// The block, if all its bytes are there.
    #[must_use]
    pub fn finish(self) -> Option<Block> {
        (self.filled == self.place.len).then(|| Block {
            checksum: self.hasher.finish_128(),
            place: self.place,
        })
    }
}

/// A block whose bytes are all there and change no more.
#[derive(Debug)]
pub struct Block {
    place: Place,
    checksum: u128,
}

impl Block {
    /// Its bytes' number.
    #[must_use]
    pub fn len(&self) -> usize {
        self.place.len
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.place.len == 0
    }

    /// Pages that it takes.
    #[must_use]
    pub fn pages(&self) -> usize {
        Draft::pages(self.place.len)
    }

    /// Bytes that it takes beside its own and its pages.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match self.pages() {
            0 => self.len(),
            _ => self.place.runs.heap_bytes(),
        }
    }

    /// xxh3-128 of its bytes as they came in.
    #[must_use]
    pub fn checksum(&self) -> u128 {
        self.checksum
    }

    /// The bytes from `at` on that lie together, up to `most` of them; empty at the end.
    #[must_use]
    pub fn part(&self, at: usize, most: usize) -> &[u8] {
        if at >= self.len() {
            return &[];
        }
        let rest = self.place.rest(at);
        &rest[..rest.len().min(most)]
    }

    /// The bytes from `at` up to `end`, as they lie.
    pub fn slices(&self, at: usize, end: usize) -> impl Iterator<Item = IoSlice<'_>> {
        let mut at = at;
        std::iter::from_fn(move || {
            let part = self.part(at, end.saturating_sub(at));
            at += part.len();
            (!part.is_empty()).then(|| IoSlice::new(part))
        })
    }

    /// A check of the bytes, to be driven part by part.
    #[must_use]
    pub fn check(&self) -> Check<'_> {
        Check {
            block: self,
            at: 0,
            hasher: twox_hash::XxHash3_128::new(),
        }
    }

    /// Flips a bit, as bad memory would: for tests of what happens then.
    #[cfg(test)]
    pub(crate) fn corrupt(&mut self) {
        if let Some(first) = self.place.runs.as_mut_slice()[0].first_mut() {
            *first ^= 1;
        }
    }
}

/// Compares a block's bytes with its checksum, a part at a time, so that one thread's other
/// connections don't wait for it.
pub struct Check<'b> {
    block: &'b Block,
    at: usize,
    hasher: twox_hash::XxHash3_128,
}

impl Check<'_> {
    /// Reads up to `most` bytes on; the verdict once all were read.
    pub fn step(&mut self, most: usize) -> Option<bool> {
        let part = self.block.part(self.at, most);
        self.hasher.write(part);
        self.at += part.len();
        (self.at == self.block.len()).then(|| self.hasher.finish_128() == self.block.checksum)
    }
}
