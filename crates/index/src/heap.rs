//! Arrays of lines, cut from [`Memory`] in a few sizes and used again by size. Writer only.

use crate::memory::{CHUNK_LINES, LINE_BYTES, Memory};

/// Sizes of arrays in lines; each at most a quarter above the one before, from four on.
const SIZES: [u16; 33] = [
    1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160,
    192, 224, 256, 320, 384, 448, 512, 640,
];

/// An array of lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Array {
    pub(crate) line: u32,
    pub(crate) lines: u16,
}

/// Gives out arrays of lines.
#[derive(Debug)]
pub(crate) struct Heap {
    free: [Vec<u32>; SIZES.len()],
    /// Lines never given out start here.
    next: u32,
    /// Lines given out.
    used: usize,
}

fn class(lines: usize) -> usize {
    SIZES
        .partition_point(|size| usize::from(*size) < lines)
        .min(SIZES.len() - 1)
}

impl Heap {
    pub(crate) fn new() -> Self {
        // Line 0 stays unused: 0 means "none".
        Self {
            free: std::array::from_fn(|_| Vec::new()),
            next: 1,
            used: 0,
        }
    }

    /// Bytes of the arrays given out.
    pub(crate) fn used_bytes(&self) -> usize {
        self.used * LINE_BYTES
    }

    /// Bytes of the lists of free arrays.
    pub(crate) fn list_bytes(&self) -> usize {
        self.free.iter().map(|list| 4 * list.capacity()).sum()
    }

    /// An array of at least `lines` lines (at most 640), its words not cleared. `None` where memory
    /// is spent.
    pub(crate) fn take(&mut self, memory: &Memory, lines: usize) -> Option<Array> {
        let class = class(lines);
        let line = match self.free[class].pop() {
            Some(line) => line,
            None => {
                let cut = self.cut(memory, SIZES[class].into());
                cut.or_else(|| self.split(class))?
            }
        };
        self.used += usize::from(SIZES[class]);
        Some(Array {
            line,
            lines: SIZES[class],
        })
    }

    /// Takes an array back.
    pub(crate) fn give(&mut self, array: Array) {
        self.used -= usize::from(array.lines);
        self.free[class(array.lines.into())].push(array.line);
    }

    /// Lines never given out before; the caller keeps them for good, or counts them itself.
    pub(crate) fn cut(&mut self, memory: &Memory, lines: usize) -> Option<u32> {
        let left = CHUNK_LINES - self.next as usize % CHUNK_LINES;
        if left < lines {
            self.scatter(self.next, left);
            self.next += left as u32;
        }
        if self.next as usize + lines > memory.lines_max() || !memory.reserve(self.next) {
            return None;
        }
        let line = self.next;
        self.next += lines as u32;
        Some(line)
    }

    /// Cuts a larger free array.
    fn split(&mut self, class: usize) -> Option<u32> {
        let larger = (class + 1..SIZES.len()).find(|larger| !self.free[*larger].is_empty())?;
        let line = self.free[larger].pop()?;
        let kept = SIZES[class];
        self.scatter(line + u32::from(kept), usize::from(SIZES[larger] - kept));
        Some(line)
    }

    /// Puts `lines` free lines from `line` on in the lists, in the largest sizes that fit.
    fn scatter(&mut self, mut line: u32, mut lines: usize) {
        while lines > 0 {
            let fits = SIZES.partition_point(|size| usize::from(*size) <= lines) - 1;
            self.free[fits].push(line);
            line += u32::from(SIZES[fits]);
            lines -= usize::from(SIZES[fits]);
        }
    }
}
