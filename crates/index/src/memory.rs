//! Memory that the writer fills and readers walk: lines of eight atomic words, in chunks that stay
//! where they are for as long as the index lives. A reader that follows a stale number reads words
//! that mean something else by now, never memory that is not there; versions tell it (see
//! [`crate::run`]).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::heap::Heap;
use crate::pages::{self, PIECE_BYTES, Piece};

/// Words in a line.
pub(crate) const LINE_WORDS: usize = 8;
/// Bytes in a line: one cache line.
pub(crate) const LINE_BYTES: usize = 8 * LINE_WORDS;
/// Lines in a chunk.
pub(crate) const CHUNK_LINES: usize = PIECE_BYTES / LINE_BYTES;

/// One cache line.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [AtomicU64; LINE_WORDS]);

static NOTHING: Line = Line([const { AtomicU64::new(0) }; LINE_WORDS]);

type Chunk = Piece<Line, CHUNK_LINES>;

/// Chunks of lines, by number.
#[derive(Debug)]
pub(crate) struct Memory {
    chunks: Box<[OnceLock<Box<Chunk>>]>,
}

impl Memory {
    /// Room for at least `lines_max` lines, none of them taken from the system yet.
    pub(crate) fn new(lines_max: usize) -> Self {
        let chunks = lines_max.div_ceil(CHUNK_LINES).max(1);
        Self {
            chunks: (0..chunks).map(|_| OnceLock::new()).collect(),
        }
    }

    /// The most lines there can be.
    pub(crate) fn lines_max(&self) -> usize {
        self.chunks.len() * CHUNK_LINES
    }

    /// The line numbered `id`; a line of zeros where there is none.
    #[inline]
    pub(crate) fn line(&self, id: u32) -> &Line {
        match self
            .chunks
            .get(id as usize / CHUNK_LINES)
            .map(OnceLock::get)
        {
            Some(Some(chunk)) => &chunk.0[id as usize % CHUNK_LINES],
            _ => &NOTHING,
        }
    }

    /// `lines` lines from `id` on, which lie in one chunk; fewer or none if they don't.
    #[inline]
    pub(crate) fn words(&self, id: u32, lines: usize) -> Words<'_> {
        let lines = match self
            .chunks
            .get(id as usize / CHUNK_LINES)
            .map(OnceLock::get)
        {
            Some(Some(chunk)) => {
                let first = id as usize % CHUNK_LINES;
                &chunk.0[first..(first + lines).min(CHUNK_LINES)]
            }
            _ => &[],
        };
        Words(lines)
    }

    /// Takes the chunk of line `id` from the system. False where there can be none. Writer only.
    pub(crate) fn reserve(&self, id: u32) -> bool {
        let Some(place) = self.chunks.get(id as usize / CHUNK_LINES) else {
            return false;
        };
        place.get_or_init(pages::zeros);
        true
    }

    /// Bytes taken from the system.
    pub(crate) fn bytes(&self) -> usize {
        let taken = self
            .chunks
            .iter()
            .filter(|chunk| chunk.get().is_some())
            .count();
        taken * CHUNK_LINES * LINE_BYTES + size_of_val(&*self.chunks)
    }
}

/// Lines numbered from 0 on without gaps, in groups that lie anywhere in a [`Memory`].
#[derive(Debug)]
pub(crate) struct Numbered {
    /// The first line of each group; 0: not there yet.
    groups: Box<[AtomicU32]>,
}

/// Lines of a group: 256 KiB.
pub(crate) const GROUP_LINES: usize = 1 << 12;

impl Numbered {
    /// Room for at least `lines_max` lines, none of them taken yet.
    pub(crate) fn new(lines_max: usize) -> Self {
        let groups = lines_max.div_ceil(GROUP_LINES).max(1);
        Self {
            groups: (0..groups).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    /// The most lines there can be.
    pub(crate) fn lines_max(&self) -> usize {
        self.groups.len() * GROUP_LINES
    }

    /// The line numbered `id`; a line of zeros where there is none.
    #[inline]
    pub(crate) fn line<'a>(&self, memory: &'a Memory, id: u32) -> &'a Line {
        let group = self.groups.get(id as usize / GROUP_LINES);
        match group.map_or(0, |group| group.load(Ordering::Acquire)) {
            0 => &NOTHING,
            first => memory.line(first + id % GROUP_LINES as u32),
        }
    }

    /// Takes the group of line `id`. False where there can be none. Writer only.
    pub(crate) fn reserve(&self, memory: &Memory, heap: &mut Heap, id: u32) -> bool {
        let Some(group) = self.groups.get(id as usize / GROUP_LINES) else {
            return false;
        };
        if group.load(Ordering::Relaxed) == 0 {
            let Some(first) = heap.cut(memory, GROUP_LINES) else {
                return false;
            };
            group.store(first, Ordering::Release);
        }
        true
    }

    /// Bytes of the lines taken.
    pub(crate) fn used_bytes(&self) -> usize {
        let is_there = |group: &&AtomicU32| group.load(Ordering::Relaxed) != 0;
        self.groups.iter().filter(is_there).count() * GROUP_LINES * LINE_BYTES
    }

    /// Bytes of the numbering itself.
    pub(crate) fn own_bytes(&self) -> usize {
        size_of_val(&*self.groups)
    }
}

/// Neighbouring lines as one array of words.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a>(&'a [Line]);

impl<'a> Words<'a> {
    /// How many words.
    #[inline]
    pub(crate) fn len(self) -> usize {
        self.0.len() * LINE_WORDS
    }

    /// The word numbered `at`; zero beyond the end.
    #[inline]
    pub(crate) fn get(self, at: usize) -> u64 {
        match self.0.get(at / LINE_WORDS) {
            Some(line) => line.0[at % LINE_WORDS].load(Ordering::Relaxed),
            None => 0,
        }
    }

    /// Writes a word; nothing beyond the end.
    #[inline]
    pub(crate) fn set(self, at: usize, word: u64) {
        if let Some(line) = self.0.get(at / LINE_WORDS) {
            line.0[at % LINE_WORDS].store(word, Ordering::Relaxed);
        }
    }

    /// All words.
    #[inline]
    pub(crate) fn iter(self) -> impl Iterator<Item = &'a AtomicU64> {
        self.0.iter().flat_map(|line| &line.0)
    }
}
