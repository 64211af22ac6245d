//! The tier as the store sees it: offers are written behind, by one thread.

use super::{
    append::{Appender, Bounds},
    device::{Device, Folder, SegmentFile},
    fetch::{fetch, is_whole},
    index::{Index, Place},
    recover::recover,
};
use crate::{
    catalog::Stored,
    ledger::Counter,
    memory::{Block, Draft},
    namespace::{Namespace, NamespaceId, Namespaces},
};
use parking_lot::{Condvar, Mutex};
use std::{
    collections::VecDeque,
    io,
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How long what was written may wait for the disk to promise it.
const SYNC_PERIOD: Duration = Duration::from_secs(1);
/// Records that wait to be marked as dead. Beyond it a start may find a deleted block again.
const KILLS_MAX: usize = 1 << 16;
/// Segments are a part of the disk, within these bounds.
const SEGMENT_SHARE: u64 = 8;
const SEGMENT_MIN: u64 = 1 << 20;
const SEGMENT_MAX: u64 = 512 << 20;

/// How a disk tier is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiskConfig {
    /// Its folder.
    pub path: PathBuf,
    /// Bytes that it may take.
    pub bytes: u64,
    /// Bytes of blocks that wait to be written: they stay in memory until then.
    pub queue_bytes: usize,
    /// Bytes of memory for what is known of the blocks on disk: beyond it segments go, as when the disk
    /// is full.
    pub index_bytes: usize,
}

/// A disk tier that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("the disk tier in {path}")]
pub struct DiskError {
    path: PathBuf,
    source: io::Error,
}

/// What there is on disk, and what went wrong there.
#[derive(Debug, Default)]
pub struct DiskStat {
    /// Blocks read.
    pub hits: Counter,
    /// Blocks written.
    pub written: Counter,
    /// Blocks that were not written, because too many waited.
    pub dropped: Counter,
    /// Writes and reads that failed.
    pub faults: Counter,
    /// Blocks whose bytes were not those that were written.
    pub corrupt: Counter,
    /// Headers that the start found broken.
    pub broken: Counter,
}

/// What there is on disk at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiskSizes {
    /// Blocks.
    pub blocks: usize,
    /// Bytes of segments.
    pub bytes: u64,
    /// Bytes of memory that what is known of the blocks takes.
    pub index_bytes: usize,
    /// Bytes that wait to be written.
    pub waiting_bytes: usize,
}

#[derive(Debug)]
enum Job {
    Put(Arc<Namespace>, Box<[u8]>, Arc<Stored>, u64),
    Kill(Place),
}

#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<Job>,
    bytes: usize,
    kills: usize,
    /// The block that is being written, and whether its key has gone meanwhile.
    current: Option<(NamespaceId, Box<[u8]>, bool)>,
    closed: bool,
}

#[derive(Debug)]
struct Shared {
    index: Arc<Mutex<Index>>,
    queue: Mutex<Queue>,
    wake: Condvar,
    stat: DiskStat,
}

/// Blocks on disk.
#[derive(Debug)]
pub struct DiskTier {
    shared: Arc<Shared>,
    queue_bytes: usize,
    block_max: u64,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Now, in milliseconds of Unix time.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

impl DiskTier {
    /// Opens the folder, finds what is there, and begins to write.
    pub fn open(config: &DiskConfig, namespaces: &Namespaces) -> Result<Self, DiskError> {
        let opened = Folder::open(config.path.clone())
            .and_then(|folder| Self::over(Arc::new(folder), config, namespaces));
        opened.map_err(|source| DiskError {
            path: config.path.clone(),
            source,
        })
    }

    fn over(
        device: Arc<dyn Device>,
        config: &DiskConfig,
        namespaces: &Namespaces,
    ) -> io::Result<Self> {
        let mut index = Index::default();
        let found = recover(&*device, &mut index, namespaces)?;
        tracing::info!(
            blocks = index.len(),
            segments = index.segments.len(),
            broken = found.broken,
            "the disk tier is there"
        );
        let index = Arc::new(Mutex::new(index));
        let segment = (config.bytes / SEGMENT_SHARE).clamp(SEGMENT_MIN, SEGMENT_MAX);
        let next = (found.next_segment, found.next_serial);
        let bounds = Bounds {
            segment_bytes: segment,
            disk_bytes: config.bytes,
            index_bytes: config.index_bytes,
        };
        let mut appender = Appender::new(device, Arc::clone(&index), bounds, next);
        for stale in &found.stale {
            appender.kill(stale)?;
        }
        appender.fit()?;
        let block_max = appender.block_max();
        let shared = Arc::new(Shared {
            index,
            queue: Mutex::default(),
            wake: Condvar::new(),
            stat: DiskStat::default(),
        });
        shared.stat.broken.add(found.broken);
        let writer = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("store-disk".to_owned())
            .spawn(move || writer.write(appender))?;
        Ok(Self {
            shared,
            queue_bytes: config.queue_bytes,
            block_max,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// What went right and wrong.
    #[must_use]
    pub fn stat(&self) -> &DiskStat {
        &self.shared.stat
    }

    /// What there is now.
    #[must_use]
    pub fn sizes(&self) -> DiskSizes {
        let waiting = self.shared.queue.lock().bytes;
        let index = self.shared.index.lock();
        DiskSizes {
            blocks: index.len(),
            bytes: index.bytes(),
            index_bytes: index.entry_bytes(),
            waiting_bytes: waiting,
        }
    }

    /// Where a block lies, if it is there.
    #[must_use]
    pub fn find(&self, namespace: NamespaceId, key: &[u8]) -> Option<Place> {
        self.shared.index.lock().find(namespace, key, unix_ms())
    }

    /// Shall keep a block, unless too many wait: then an older one of its key is forgotten too.
    pub fn offer(
        &self,
        namespace: &Arc<Namespace>,
        key: &[u8],
        stored: &Arc<Stored>,
        expires_unix_ms: u64,
    ) {
        let known = self.find(namespace.id, key);
        let same = |place: &Place| {
            place.sum == stored.block.checksum()
                && place.len == stored.block.len() as u64
                && place.expires_unix_ms == expires_unix_ms
                && place.attributes == stored.attributes
        };
        if known.as_ref().is_some_and(same) {
            return;
        }
        let len = stored.block.len();
        let mut queue = self.shared.queue.lock();
        if queue.bytes + len > self.queue_bytes || len as u64 > self.block_max {
            drop(queue);
            self.shared.stat.dropped.increment();
            self.forget(namespace, key);
            return;
        }
        queue.bytes += len;
        let stored = Arc::clone(stored);
        let job = Job::Put(Arc::clone(namespace), key.into(), stored, expires_unix_ms);
        queue.jobs.push_back(job);
        self.shared.wake.notify_one();
    }

    /// A key is gone, whether its block is written or waits; its size, if it was there.
    pub fn forget(&self, namespace: &Arc<Namespace>, key: &[u8]) -> Option<u64> {
        let mut queue = self.shared.queue.lock();
        let mut freed = 0;
        let mut waited = None;
        queue.jobs.retain(|job| match job {
            Job::Put(other, name, stored, _) if other.id == namespace.id && **name == *key => {
                freed += stored.block.len();
                waited = Some(stored.block.len() as u64);
                false
            }
            _ => true,
        });
        queue.bytes -= freed;
        if let Some((id, name, cancelled)) = &mut queue.current
            && *id == namespace.id
            && **name == *key
        {
            *cancelled = true;
        }
        let written = self.shared.index.lock().remove(namespace.id, key, u64::MAX);
        let len = written.as_ref().map(|place| place.len);
        if let Some(place) = written {
            self.shared.bury(&mut queue, place);
        }
        waited.or(len)
    }

    /// A record's bytes are not its own: it is forgotten for good.
    fn quarantine(&self, namespace: NamespaceId, key: &[u8], place: &Place) {
        self.shared.stat.corrupt.increment();
        let mut queue = self.shared.queue.lock();
        let mut index = self.shared.index.lock();
        if let Some(place) = index.remove(namespace, key, place.serial + 1) {
            drop(index);
            self.shared.bury(&mut queue, place);
        }
    }

    /// Reads a block into a place in memory; `None` where it can't be had. Blocks the thread.
    pub fn read(
        &self,
        namespace: NamespaceId,
        key: &[u8],
        place: &Place,
        draft: Draft,
    ) -> Option<Block> {
        let file: Arc<dyn SegmentFile> = self.shared.index.lock().file(place.segment)?;
        let stat = &self.shared.stat;
        match fetch(&*file, place, draft) {
            Ok(Some(block)) => {
                stat.hits.increment();
                return Some(block);
            }
            Ok(None) => self.quarantine(namespace, key, place),
            Err(error) => {
                stat.faults.increment();
                tracing::warn!(%error, "a block can't be read from disk");
            }
        }
        None
    }

    /// Keys of a namespace, in the order in which their blocks lie.
    pub(crate) fn keys(&self, namespace: NamespaceId) -> Vec<Box<[u8]>> {
        self.shared.index.lock().keys(namespace)
    }

    /// Reads a block where it lies: its bytes, and whether they are its own. One that is not is
    /// forgotten. `None`: it is not there, or can't be read. Blocks the thread.
    pub(crate) fn verify(&self, namespace: NamespaceId, key: &[u8]) -> Option<(u64, bool)> {
        let place = self.find(namespace, key)?;
        let file = self.shared.index.lock().file(place.segment)?;
        let is_whole = match is_whole(&*file, &place) {
            Ok(is_whole) => is_whole,
            Err(error) => {
                self.shared.stat.faults.increment();
                tracing::warn!(%error, "a block can't be read from disk");
                return None;
            }
        };
        if !is_whole {
            self.quarantine(namespace, key, &place);
        }
        Some((place.len, is_whole))
    }

    /// Writes all that waits, and ends.
    pub fn close(&self) {
        self.shared.queue.lock().closed = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the disk tier's thread panicked");
        }
    }
}

impl Drop for DiskTier {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    /// The writer's thread.
    fn write(&self, mut appender: Appender) {
        let mut is_dirty = false;
        loop {
            let job = match self.next(is_dirty) {
                Next::Job(job) => job,
                Next::Sync => {
                    self.count(appender.sync());
                    is_dirty = false;
                    continue;
                }
                Next::End => {
                    self.count(appender.sync());
                    self.count(appender.seal());
                    return;
                }
            };
            is_dirty = true;
            match job {
                Job::Put(namespace, key, stored, expires) => {
                    let written = appender.put(&namespace.name, &key, &stored, expires);
                    let place = self.count(written);
                    self.stat.written.add(u64::from(place.is_some()));
                    let len = stored.block.len();
                    if let Some(dead) = self.done(namespace.id, &key, len, place) {
                        self.count(appender.kill(&dead));
                    }
                    self.count(appender.fit());
                }
                Job::Kill(place) => {
                    self.count(appender.kill(&place));
                }
            }
        }
    }

    fn next(&self, is_dirty: bool) -> Next {
        let mut queue = self.queue.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                match &job {
                    Job::Put(namespace, key, ..) => {
                        queue.current = Some((namespace.id, key.clone(), false));
                    }
                    Job::Kill(_) => queue.kills -= 1,
                }
                return Next::Job(job);
            }
            if queue.closed {
                return Next::End;
            }
            if self.wake.wait_for(&mut queue, SYNC_PERIOD).timed_out() && is_dirty {
                return Next::Sync;
            }
        }
    }

    /// A block was written, or could not be. The record that is dead now: an older one of its key, or
    /// the block's own where its key was taken out meanwhile.
    fn done(
        &self,
        namespace: NamespaceId,
        key: &[u8],
        len: usize,
        place: Option<Place>,
    ) -> Option<Place> {
        let mut queue = self.queue.lock();
        queue.bytes -= len;
        let is_cancelled = matches!(queue.current.take(), Some((.., true)));
        match place {
            Some(place) if is_cancelled => Some(place),
            Some(place) => self.index.lock().insert(namespace, key, &place),
            // What is there is older than what was put since.
            None => self.index.lock().remove(namespace, key, u64::MAX),
        }
    }

    /// A record that the index knows no more shall be marked as dead.
    fn bury(&self, queue: &mut Queue, place: Place) {
        if queue.kills < KILLS_MAX {
            queue.kills += 1;
            queue.jobs.push_back(Job::Kill(place));
            self.wake.notify_one();
        }
    }

    fn count<T>(&self, outcome: io::Result<T>) -> Option<T> {
        match outcome {
            Ok(done) => Some(done),
            Err(error) => {
                self.stat.faults.increment();
                tracing::warn!(%error, "the disk tier can't write");
                None
            }
        }
    }
}

enum Next {
    Job(Job),
    Sync,
    End,
}
