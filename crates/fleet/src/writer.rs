//! The only thread that changes the index: applies event batches in the order of each feed.

use onefill_events::{Decoder, Event, Salt, Stored};
use onefill_index::{Block, IndexStats, IndexWriter, Parent};
use onefill_kv::{KeySeed, ReplicaId, Tier};
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};
use tokio::sync::mpsc;

/// Batches waiting for the writer; at the bound feeds wait, and their sockets behind them.
const QUEUE_BATCHES_MAX: usize = 4096;

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
}

/// What the writer is asked to do.
pub(crate) enum Command {
    /// Apply a payload of this replica's feed.
    Apply {
        replica: ReplicaId,
        block_tokens: Option<u32>,
        payload: bytes::Bytes,
        applied: Arc<Applied>,
    },
    /// Forget all that this replica holds.
    Clear {
        replica: ReplicaId,
        applied: Arc<Applied>,
    },
}

/// The way to the writer.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    commands: mpsc::Sender<Command>,
    stats: Arc<Mutex<IndexStats>>,
}

impl Writer {
    /// Starts the thread; it ends when the last `Writer` is gone.
    pub(crate) fn start(index: IndexWriter, seed: KeySeed) -> Self {
        let (commands, queue) = mpsc::channel(QUEUE_BATCHES_MAX);
        let stats = Arc::new(Mutex::new(IndexStats::default()));
        let shown = Arc::clone(&stats);
        let name = "index-writer".to_owned();
        let spawned = std::thread::Builder::new().name(name).spawn(move || {
            Work {
                index,
                decoder: Decoder::new(seed),
                seed,
                stats: shown,
                blocks: Vec::new(),
            }
            .run(queue);
        });
        if let Err(error) = spawned {
            tracing::error!(%error, "the index writer's thread can't be started");
        }
        Self { commands, stats }
    }

    /// Hands a command over; waits while the queue is full.
    pub(crate) async fn send(&self, command: Command) {
        if self.commands.send(command).await.is_err() {
            tracing::error!("the index writer is gone");
        }
    }

    pub(crate) fn stats(&self) -> IndexStats {
        self.stats.lock().clone()
    }
}

struct Work {
    index: IndexWriter,
    decoder: Decoder,
    seed: KeySeed,
    stats: Arc<Mutex<IndexStats>>,
    blocks: Vec<Block>,
}

impl Work {
    fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        while let Some(command) = queue.blocking_recv() {
            match command {
                Command::Apply {
                    replica,
                    block_tokens,
                    payload,
                    applied,
                } => {
                    self.apply(replica, block_tokens, &payload, &applied);
                    let held = self.index.held(replica, Tier::Gpu);
                    applied.held_blocks.store(held, Relaxed);
                    applied.batches.fetch_add(1, Relaxed);
                }
                Command::Clear { replica, applied } => {
                    self.index.cleared(replica);
                    applied.held_blocks.store(0, Relaxed);
                }
            }
            if queue.is_empty() {
                *self.stats.lock() = self.index.stats();
            }
        }
    }

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
            ..
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
