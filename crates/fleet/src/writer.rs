//! The only writer of the index: applies event batches in the order of each feed. One thread reads
//! all feeds and applies what it reads at once, so that no batch waits for another thread to wake.

use crate::warm::Mark;
use onefill_events::{Decoder, Event, Salt, Stored};
use onefill_index::{Block, IndexStats, IndexWriter, Parent, snapshot::SavedReplica};
use onefill_kv::{KeySeed, ReplicaId, Tier};
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// What the writer tells of one feed. Counters grow; the feed and metrics read them.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) batches: AtomicU64,
    pub(crate) events: AtomicU64,
    pub(crate) unknown_events: AtomicU64,
    pub(crate) unknown_fields: AtomicU64,
    pub(crate) decode_errors: AtomicU64,
    /// Blocks refused: of another block size, of a namespace that is not known.
    pub(crate) refused_blocks: AtomicU64,
    /// Blocks held in the engine's own cache.
    pub(crate) held_blocks: AtomicU64,
    /// The replica said that everything is gone, since this was last taken.
    pub(crate) cleared: AtomicBool,
    /// How far the index has the feed, where it has all of it. Changes under the writer's lock.
    mark: Mutex<Option<Mark>>,
}

/// A payload of a feed.
pub(crate) struct Batch<'a> {
    pub(crate) replica: ReplicaId,
    pub(crate) block_tokens: Option<u32>,
    pub(crate) payload: &'a [u8],
    /// How far the feed is applied with this batch, where nothing of it is missing.
    pub(crate) mark: Option<Mark>,
}

/// The index, and the thread whose runtime reads the feeds: a batch is applied where it was read.
#[derive(Clone)]
pub(crate) struct Writer {
    work: Arc<Mutex<Work>>,
    feeds: Option<Handle>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl Writer {
    /// Starts the thread; it ends with `shutdown`.
    pub(crate) fn start(index: IndexWriter, seed: KeySeed, shutdown: CancellationToken) -> Self {
        let work = Work {
            index,
            decoder: Decoder::new(seed),
            seed,
            blocks: Vec::new(),
        };
        let feeds = feeds(shutdown);
        if let Err(error) = &feeds {
            tracing::error!(%error, "the thread of the event feeds can't be started");
        }
        Self {
            work: Arc::new(Mutex::new(work)),
            feeds: feeds.ok(),
        }
    }

    /// Runs a feed on the feeds' thread.
    pub(crate) fn spawn(&self, feed: impl Future<Output = ()> + Send + 'static) {
        match &self.feeds {
            Some(feeds) => feeds.spawn(feed),
            None => tokio::spawn(feed),
        };
    }

    /// Applies a batch.
    pub(crate) fn apply(&self, batch: &Batch<'_>, applied: &Applied) {
        let mut work = self.work.lock();
        work.apply(batch.replica, batch.block_tokens, batch.payload, applied);
        let held = work.index.held(batch.replica, Tier::Gpu);
        applied.held_blocks.store(held, Relaxed);
        applied.batches.fetch_add(1, Relaxed);
        *applied.mark.lock() = batch.mark;
    }

    /// Takes note that the index has a replica's feed so far already.
    pub(crate) fn resume(&self, replica: ReplicaId, applied: &Applied, mark: Mark) {
        let work = self.work.lock();
        let held = work.index.held(replica, Tier::Gpu);
        applied.held_blocks.store(held, Relaxed);
        *applied.mark.lock() = Some(mark);
    }

    /// The index as bytes, with what `name` makes of those replicas whose feeds it has entirely.
    pub(crate) fn save(
        &self,
        identity: u64,
        feeds: &[(ReplicaId, Arc<Applied>)],
        name: &dyn Fn(ReplicaId, &Mark) -> String,
    ) -> Vec<u8> {
        let mut work = self.work.lock();
        let marks = feeds
            .iter()
            .filter_map(|(replica, applied)| Some((*replica, (*applied.mark.lock())?)));
        let named: Vec<_> = marks
            .map(|(replica, mark)| (replica, mark.next, name(replica, &mark)))
            .collect();
        let saved: Vec<_> = named
            .iter()
            .map(|(replica, mark, name)| SavedReplica {
                replica: *replica,
                name,
                mark: *mark,
            })
            .collect();
        let mut bytes = Vec::new();
        work.index.save(identity, &saved, &mut bytes);
        bytes
    }

    /// Forgets all that a replica holds.
    pub(crate) fn clear(&self, replica: ReplicaId, applied: &Applied) {
        let mut work = self.work.lock();
        work.index.cleared(replica);
        applied.held_blocks.store(0, Relaxed);
        *applied.mark.lock() = None;
    }

    /// Forgets a replica of the last run.
    pub(crate) fn forget(&self, replica: ReplicaId) {
        self.work.lock().index.cleared(replica);
    }

    pub(crate) fn stats(&self) -> IndexStats {
        self.work.lock().index.stats()
    }
}

/// A thread with a runtime for the feeds.
fn feeds(shutdown: CancellationToken) -> std::io::Result<Handle> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let feeds = runtime.handle().clone();
    std::thread::Builder::new()
        .name("event-feeds".to_owned())
        .spawn(move || runtime.block_on(shutdown.cancelled()))?;
    Ok(feeds)
}

struct Work {
    index: IndexWriter,
    decoder: Decoder,
    seed: KeySeed,
    blocks: Vec<Block>,
}

impl Work {
    fn apply(
        &mut self,
        replica: ReplicaId,
        block_tokens: Option<u32>,
        payload: &[u8],
        applied: &Applied,
    ) {
        let Self {
            index,
            decoder,
            seed,
            blocks,
        } = self;
        let decoded = decoder.decode(payload, &mut |event| match event {
            Event::Stored(stored) => {
                let fits = block_tokens.is_none_or(|size| size == stored.block_tokens);
                if !stored.full_attention {
                    return; // such groups forget: they don't tell how long a prefix is
                }
                let refused = if fits {
                    store(index, *seed, replica, &stored, blocks)
                } else {
                    stored.blocks.len() as u64
                };
                applied.refused_blocks.fetch_add(refused, Relaxed);
            }
            Event::Removed(removed) => {
                if removed.group == 0 {
                    index.removed(replica, removed.tier, removed.hashes);
                }
            }
            Event::Cleared => {
                index.cleared(replica);
                applied.cleared.store(true, Relaxed);
            }
        });
        match decoded {
            Ok(info) => {
                applied.events.fetch_add(u64::from(info.events), Relaxed);
                applied
                    .unknown_events
                    .fetch_add(u64::from(info.unknown_events), Relaxed);
                applied
                    .unknown_fields
                    .fetch_add(u64::from(info.unknown_fields), Relaxed);
            }
            Err(error) => {
                applied.decode_errors.fetch_add(1, Relaxed);
                tracing::warn!(replica = replica.0, %error, "an event batch can't be read");
            }
        }
    }
}

/// Stores an event's blocks; gives how many were refused.
fn store(
    index: &mut IndexWriter,
    seed: KeySeed,
    replica: ReplicaId,
    stored: &Stored<'_>,
    blocks: &mut Vec<Block>,
) -> u64 {
    let parent = match (stored.parent, stored.salt) {
        (Some(hash), _) => Parent::Hash(hash),
        (None, Salt::Known(salt)) => Parent::Root(seed.root(stored.lora, salt)),
        (None, Salt::Unknown) => Parent::UnknownRoot,
    };
    blocks.clear();
    let copied = stored.blocks.iter();
    blocks.extend(copied.map(|block| Block {
        hash: block.hash,
        content: block.content,
    }));
    u64::from(index.stored(replica, stored.tier, parent, blocks).refused)
}
