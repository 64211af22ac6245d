//! Where segments lie. A trait, so that faults can be made.

use super::file::Segment;
use std::{
    fmt::Debug,
    fs::{self, File},
    io::{self, IoSlice},
    path::PathBuf,
    sync::Arc,
};

/// A segment's bytes.
pub trait SegmentFile: Send + Sync + Debug {
    /// Writes all slices behind one another from `offset` on. May leave any part of it written
    /// where it fails.
    fn write_at(&self, offset: u64, slices: &[IoSlice<'_>]) -> io::Result<()>;
    /// Reads up to as many bytes as `into` has; fewer only at the end.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// What was written survives the machine from here on.
    fn sync(&self) -> io::Result<()>;
    /// Room that it took behind its end is given back.
    fn trim(&self) -> io::Result<()>;
    /// Its length.
    fn size(&self) -> io::Result<u64>;
}

/// All segments.
pub trait Device: Send + Sync + Debug {
    /// Ids of those that are there, in any order.
    fn list(&self) -> io::Result<Vec<u64>>;
    /// A new one, with room for so many bytes where that can be taken ahead.
    fn create(&self, id: u64, bytes: u64) -> io::Result<Arc<dyn SegmentFile>>;
    /// One that is there.
    fn open(&self, id: u64) -> io::Result<Arc<dyn SegmentFile>>;
    /// Takes one away; readers that have it open read on.
    fn remove(&self, id: u64) -> io::Result<()>;
}

/// Files of a folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Held as long as the store runs, so that no other one writes here.
    _lock: File,
}

impl Folder {
    /// The folder, made if it isn't there; an error where another store has it.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&path)?;
        let lock = File::create(path.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => io::Error::other("another store has the folder"),
            fs::TryLockError::Error(error) => error,
        })?;
        Ok(Self { path, _lock: lock })
    }

    fn segment(&self, id: u64) -> PathBuf {
        self.path.join(format!("{id:016x}.segment"))
    }
}

impl Device for Folder {
    fn list(&self) -> io::Result<Vec<u64>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(".segment"));
            ids.extend(id.and_then(|id| u64::from_str_radix(id, 16).ok()));
        }
        Ok(ids)
    }

    fn create(&self, id: u64, bytes: u64) -> io::Result<Arc<dyn SegmentFile>> {
        Ok(Arc::new(Segment::create(&self.segment(id), bytes)?))
    }

    fn open(&self, id: u64) -> io::Result<Arc<dyn SegmentFile>> {
        Ok(Arc::new(Segment::open(&self.segment(id))?))
    }

    fn remove(&self, id: u64) -> io::Result<()> {
        fs::remove_file(self.segment(id))
    }
}
