//! A segment as a file, written and read past the system's cache where that can be: what is here is in
//! our own memory already, or was let go there.

use super::{device::SegmentFile, format::ALIGN};
use rustix::{
    fs::{FallocateFlags, OFlags},
    io::Errno,
};
use std::{
    fs::{File, OpenOptions},
    io::{self, IoSlice},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// Fewer bytes go through the cache: a wait for the disk costs more than the copy.
const DIRECT_MIN: usize = 128 << 10;
/// Slices that one call takes.
const SLICES_MAX: usize = 512;

/// A segment.
#[derive(Debug)]
pub(super) struct Segment {
    cached: File,
    /// The same file, without the cache.
    direct: Option<File>,
    /// The file system would not have it.
    refused: AtomicBool,
}

impl Segment {
    pub(super) fn create(path: &Path, bytes: u64) -> io::Result<Self> {
        let segment = Self::with(OpenOptions::new().create_new(true), path)?;
        // Writes are quicker where the file system needn't look for room each time. It may not be able to,
        // or be too full: then they find out.
        let ahead = FallocateFlags::KEEP_SIZE;
        _ = rustix::fs::fallocate(&segment.cached, ahead, 0, bytes);
        Ok(segment)
    }

    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::with(&mut OpenOptions::new(), path)
    }

    fn with(options: &mut OpenOptions, path: &Path) -> io::Result<Self> {
        let cached = options.read(true).write(true).open(path)?;
        let mut direct = OpenOptions::new();
        let flags = OFlags::DIRECT.bits().cast_signed();
        let direct = direct.read(true).write(true).custom_flags(flags).open(path);
        Ok(Self {
            cached,
            direct: direct.ok(),
            refused: AtomicBool::new(false),
        })
    }

    /// The file without the cache, if so many bytes are worth it.
    fn direct(&self, bytes: usize) -> Option<&File> {
        let direct = self.direct.as_ref()?;
        (bytes >= DIRECT_MIN && !self.refused.load(Relaxed)).then_some(direct)
    }

    /// What a call without the cache gave; `None` where the file system wants other alignment or none of it.
    fn taken(&self, outcome: Result<usize, Errno>) -> Option<io::Result<usize>> {
        match outcome {
            Err(Errno::INVAL | Errno::OPNOTSUPP) => {
                self.refused.store(true, Relaxed);
                None
            }
            outcome => Some(outcome.map_err(io::Error::from)),
        }
    }

    fn write_some(&self, offset: u64, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let slices = &slices[..slices.len().min(SLICES_MAX)];
        let all: usize = slices.iter().map(|slice| slice.len()).sum();
        if is_aligned(offset)
            && slices.iter().all(|slice| is_page(slice))
            && let Some(file) = self.direct(all)
            && let Some(outcome) = self.taken(rustix::io::pwritev(file, slices, offset))
        {
            return outcome;
        }
        Ok(rustix::io::pwritev(&self.cached, slices, offset)?)
    }
}

fn is_aligned(offset: u64) -> bool {
    offset.is_multiple_of(ALIGN as u64)
}

fn is_page(bytes: &[u8]) -> bool {
    bytes.len().is_multiple_of(ALIGN) && bytes.as_ptr().addr().is_multiple_of(ALIGN)
}

fn is_interrupted(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Interrupted
}

impl SegmentFile for Segment {
    fn write_at(&self, mut offset: u64, slices: &[IoSlice<'_>]) -> io::Result<()> {
        let mut slices = slices.to_vec();
        let mut left = &mut slices[..];
        IoSlice::advance_slices(&mut left, 0); // empty ones go
        while !left.is_empty() {
            match self.write_some(offset, left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    offset += count as u64;
                    IoSlice::advance_slices(&mut left, count);
                }
                Err(error) if is_interrupted(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let whole = into.len() / ALIGN * ALIGN;
        let mut filled = 0;
        if is_aligned(offset)
            && is_page(&into[..whole])
            && let Some(file) = self.direct(whole)
        {
            let outcome = rustix::io::pread(file, &mut into[..whole], offset);
            filled = self.taken(outcome).transpose()?.unwrap_or(0);
        }
        while filled < into.len() {
            match self
                .cached
                .read_at(&mut into[filled..], offset + filled as u64)
            {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if is_interrupted(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn sync(&self) -> io::Result<()> {
        self.cached.sync_data()
    }

    fn trim(&self) -> io::Result<()> {
        self.cached.set_len(self.size()?)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.cached.metadata()?.len())
    }
}
