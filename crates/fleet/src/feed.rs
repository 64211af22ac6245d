//! One replica's event feed: the SUB socket, its replay socket, and what follows from both.
//!
//! ```text
//! event    topic | seq u64 big-endian | payload        PUB, from 0 in each process
//! replay   ""    | seq u64 big-endian  ->  "" | topic | seq | payload ..  "" | "" | -1 | ""
//! ```

use crate::{
    sequence::{Sequence, Verdict},
    warm::Mark,
    writer::{self, Applied, Writer},
};
use bytes::Bytes;
use onefill_kv::ReplicaId;
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use zeromq::{DealerSocket, Socket, SocketRecv, SocketSend, SubSocket, ZmqMessage};

/// A replay that stays silent for so long is over.
const REPLAY_SILENCE: Duration = Duration::from_secs(2);
/// Pause before a feed that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// How long to wait for the first connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How often completeness is judged while nothing comes.
const IDLE: Duration = Duration::from_millis(100);

/// Why a replica is not known exactly at first.
pub(crate) const NOT_READ: &str = "the event feed is not read yet";

/// Where a feed is, and whose.
#[derive(Clone, Debug)]
pub(crate) struct FeedSource {
    pub(crate) replica: ReplicaId,
    pub(crate) events: String,
    pub(crate) replay: Option<String>,
    pub(crate) block_tokens: Option<u32>,
    pub(crate) capacity_blocks: Option<u32>,
    /// Start of the process, Unix seconds; 0: not told.
    pub(crate) process_start_s: f64,
    /// How far its events are in the index already; `None`: the index knows nothing of it.
    pub(crate) resume: Option<Mark>,
}

/// What a feed tells.
#[derive(Debug, Default)]
pub(crate) struct FeedState {
    pub(crate) applied: Arc<Applied>,
    pub(crate) gaps: AtomicU64,
    pub(crate) replays: AtomicU64,
    pub(crate) resyncs: AtomicU64,
    /// Unix time of the last batch applied, in milliseconds.
    pub(crate) published_ms: AtomicU64,
    /// Why the cache is not known exactly; `None`: it is.
    why: Mutex<Option<&'static str>>,
}

impl FeedState {
    pub(crate) fn new() -> Arc<Self> {
        let state = Self::default();
        state.say(Some(NOT_READ));
        Arc::new(state)
    }

    /// Whether it is still to be found out how complete the feed is.
    pub(crate) fn is_new(&self) -> bool {
        self.why() == Some(NOT_READ)
    }

    pub(crate) fn why(&self) -> Option<&'static str> {
        *self.why.lock()
    }

    fn say(&self, why: Option<&'static str>) {
        *self.why.lock() = why;
    }
}

/// Reads a feed until `stop`. Begins where the last run ended, or with an empty knowledge of the
/// replica.
pub(crate) async fn run(
    source: FeedSource,
    state: Arc<FeedState>,
    writer: Writer,
    stop: CancellationToken,
) {
    let mut feed = Feed {
        source,
        state,
        writer,
        sequence: Sequence::default(),
    };
    let reading = async {
        loop {
            feed.begin();
            if let Err(error) = feed.read().await {
                tracing::debug!(replica = feed.source.replica.0, %error, "the event feed failed");
            }
            tokio::time::sleep(RETRY).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = reading => {}
    }
}

struct Feed {
    source: FeedSource,
    state: Arc<FeedState>,
    writer: Writer,
    sequence: Sequence,
}

/// A batch as it came.
struct Batch {
    seq: u64,
    published_s: f64,
    payload: Bytes,
}

impl Batch {
    /// From the last two frames of a message; `None`: not a batch.
    fn of(message: &ZmqMessage) -> Option<Self> {
        let count = message.len();
        let seq = message.get(count.checked_sub(2)?)?;
        let seq = u64::from_be_bytes(seq.as_ref().try_into().ok()?);
        let payload = message.get(count - 1)?.clone();
        // [array head, cb, f64 ..]: the time stands first in every batch
        let time = payload
            .get(2..10)
            .and_then(|bytes| bytes.try_into().ok())
            .map(f64::from_be_bytes);
        Some(Self {
            seq,
            published_s: time.unwrap_or(0.0),
            payload,
        })
    }

    /// A replay ends with the number -1 and an empty payload.
    fn is_end(&self) -> bool {
        self.seq == u64::MAX
    }
}

impl Feed {
    /// What the last run knew is taken up once.
    fn begin(&mut self) {
        match self.source.resume.take() {
            Some(mark) => {
                self.sequence = Sequence::resumed(mark.next, mark.published_s);
                self.writer
                    .resume(self.source.replica, &self.state.applied, mark);
            }
            None => self.clear(),
        }
    }

    fn clear(&mut self) {
        self.sequence = Sequence::default();
        self.writer.clear(self.source.replica, &self.state.applied);
    }

    async fn read(&mut self) -> Result<(), zeromq::ZmqError> {
        let mut socket = SubSocket::new();
        socket.subscribe("").await?;
        match timeout(CONNECT, socket.connect(&self.source.events)).await {
            Ok(connected) => connected?,
            Err(_) => return Ok(()),
        };
        // Live batches wait in the socket meanwhile: none is missed between replay and live.
        match self.replay(self.sequence.next()).await {
            Ok(0) => self.sequence.nothing_published(),
            Ok(_) => {}
            Err(why) => {
                // What was known before may have holes by now.
                self.clear();
                self.state.say(Some(why));
            }
        }
        loop {
            self.judge_completeness();
            match timeout(IDLE, socket.recv()).await {
                Ok(message) => {
                    if let Some(batch) = Batch::of(&message?) {
                        self.live(batch).await;
                    }
                }
                Err(_) => continue,
            }
        }
    }

    async fn live(&mut self, batch: Batch) {
        match self.sequence.live(batch.seq, batch.published_s) {
            Verdict::Known => {}
            Verdict::Apply => self.apply(&batch),
            Verdict::Restarted => {
                self.state.resyncs.fetch_add(1, Relaxed);
                self.clear();
                Box::pin(self.live(batch)).await;
            }
            Verdict::Missing(from) => self.fill(from, batch).await,
        }
    }

    /// Asks for what is missing before `batch`.
    async fn fill(&mut self, from: u64, batch: Batch) {
        self.state.gaps.fetch_add(1, Relaxed);
        let replayed = self.replay(from).await;
        match self.sequence.live(batch.seq, batch.published_s) {
            Verdict::Known => return,
            Verdict::Apply => return self.apply(&batch),
            Verdict::Missing(_) | Verdict::Restarted => {}
        }
        tracing::warn!(
            replica = self.source.replica.0,
            from,
            to = batch.seq,
            ok = replayed.is_ok(),
            "events are lost: the replica is known approximately for now"
        );
        self.state.resyncs.fetch_add(1, Relaxed);
        self.clear();
        self.sequence.lost(batch.seq);
        self.apply(&batch);
    }

    fn apply(&mut self, batch: &Batch) {
        self.sequence.applied(batch.seq, batch.published_s);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a time after 1970"
        )]
        self.state
            .published_ms
            .store((batch.published_s * 1e3) as u64, Relaxed);
        let read = writer::Batch {
            replica: self.source.replica,
            block_tokens: self.source.block_tokens,
            payload: &batch.payload,
            mark: self.sequence.is_complete().then(|| Mark {
                process_start_s: self.source.process_start_s,
                next: self.sequence.next(),
                published_s: batch.published_s,
            }),
        };
        self.writer.apply(&read, &self.state.applied);
    }

    /// Asks for batches from `from` on and applies those that follow on what is known; gives how
    /// many came.
    async fn replay(&mut self, from: u64) -> Result<u64, &'static str> {
        let address = self
            .source
            .replay
            .clone()
            .ok_or("events before this router's start can't be had")?;
        self.state.replays.fetch_add(1, Relaxed);
        let failed = "the replay socket does not answer";
        let mut socket = DealerSocket::new();
        let connected = timeout(CONNECT, socket.connect(&address)).await;
        connected.map_err(|_| failed)?.map_err(|_| failed)?;
        let mut ask = ZmqMessage::from(Bytes::new());
        ask.push_back(Bytes::copy_from_slice(&from.to_be_bytes()));
        socket.send(ask).await.map_err(|_| failed)?;
        let mut came = 0;
        loop {
            let message = timeout(REPLAY_SILENCE, socket.recv()).await;
            let message = message.map_err(|_| failed)?.map_err(|_| failed)?;
            let Some(batch) = Batch::of(&message) else {
                continue;
            };
            if batch.is_end() {
                return Ok(came);
            }
            came += 1;
            if came == 1 && batch.seq > from {
                // The buffer does not reach back so far: go on from where it does.
                if from > 0 {
                    self.state.resyncs.fetch_add(1, Relaxed);
                    self.clear();
                }
                self.sequence.lost(batch.seq);
            }
            if self.sequence.live(batch.seq, batch.published_s) == Verdict::Apply {
                self.apply(&batch);
            }
        }
    }

    /// Says whether all that the replica holds is known.
    fn judge_completeness(&mut self) {
        let applied = &self.state.applied;
        let held = applied.held_blocks.load(Relaxed);
        // vLLM keeps one block for itself. A cache can't hold more than what is known if that
        // fills it.
        let full = self
            .source
            .capacity_blocks
            .is_some_and(|blocks| held + 1 >= u64::from(blocks));
        if applied.cleared.swap(false, Relaxed) || full {
            self.sequence.completed();
        }
        let why = "events from before this router's start are missing; exact again after a clear, \
                   a restart, or once all its blocks were told anew";
        self.state
            .say((!self.sequence.is_complete()).then_some(why));
    }
}
