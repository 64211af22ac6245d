//! The tier as the store sees it: one thread with a runtime of its own asks and writes.

use super::{
    Remote, RemoteError,
    absent::Absent,
    circuit::Circuit,
    format::{self, Found},
    jobs::{Job, Jobs, Taken, Wish},
};
use crate::{
    catalog::Stored,
    disk::unix_ms,
    ledger::Counter,
    memory::{Block, Draft},
    namespace::Namespace,
};
use parking_lot::Mutex;
use std::{
    io,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::{
    runtime::{self, Handle},
    sync::{Notify, Semaphore},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Times that a write is tried.
const TRIES: u32 = 3;
/// Bytes a second that a write makes at least, or it is given up.
const BYTES_S_MIN: u64 = 4 << 20;

/// How a remote tier is made.
#[derive(Clone, Debug)]
pub struct RemoteConfig {
    /// The engine.
    pub remote: Arc<dyn Remote>,
    /// First part of all names.
    pub prefix: String,
    /// Bytes of blocks that wait to be written: they stay in memory until then.
    pub queue_bytes: usize,
    /// Writes at once.
    pub writers: usize,
    /// Questions at once.
    pub asks: usize,
    /// How long an answer to "is it there?" may take: then it is not.
    pub lookup_timeout: Duration,
    /// How long the next bytes of a block may take.
    pub read_timeout: Duration,
}

impl RemoteConfig {
    /// Defaults in front of this engine.
    #[must_use]
    pub fn new(remote: Arc<dyn Remote>, prefix: &str, queue_bytes: usize) -> Self {
        Self {
            remote,
            prefix: prefix.to_owned(),
            queue_bytes,
            writers: 8,
            asks: 128,
            lookup_timeout: Duration::from_millis(500),
            read_timeout: Duration::from_secs(5),
        }
    }
}

/// What the remote tier did.
#[derive(Debug, Default)]
pub struct RemoteStat {
    /// Times that it was asked whether a block is there.
    pub lookups: Counter,
    /// Blocks read.
    pub hits: Counter,
    /// Blocks written.
    pub written: Counter,
    /// Blocks that another store, or this one, had written before.
    pub known: Counter,
    /// Blocks that were not written: too many waited, or it failed too often.
    pub dropped: Counter,
    /// Requests that failed or took too long.
    pub faults: Counter,
    /// Objects that are not what was asked for.
    pub corrupt: Counter,
}

#[derive(Debug)]
struct Shared {
    config: RemoteConfig,
    jobs: Mutex<Jobs>,
    /// Told when a job was added or the last one done.
    wake: Notify,
    absent: Mutex<Absent>,
    circuit: Mutex<Circuit>,
    asks: Semaphore,
    stat: RemoteStat,
    started: Instant,
}

/// Blocks at a remote.
#[derive(Debug)]
pub struct RemoteTier {
    shared: Arc<Shared>,
    runtime: Handle,
    stop: CancellationToken,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl RemoteTier {
    /// Begins to write. The engine is asked for the first time with the first block.
    pub fn start(config: &RemoteConfig) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            config: config.clone(),
            jobs: Mutex::default(),
            wake: Notify::new(),
            absent: Mutex::default(),
            circuit: Mutex::default(),
            asks: Semaphore::new(config.asks),
            stat: RemoteStat::default(),
            started: Instant::now(),
        });
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = thread::Builder::new()
            .name("store-remote".to_owned())
            .spawn(move || {
                runtime.block_on(stopped.cancelled());
                runtime.shutdown_background();
            })?;
        for _ in 0..config.writers {
            handle.spawn(Arc::clone(&shared).write());
        }
        Ok(Self {
            shared,
            runtime: handle,
            stop,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// What it did.
    #[must_use]
    pub fn stat(&self) -> &RemoteStat {
        &self.shared.stat
    }

    /// Bytes of blocks that wait to be written.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.shared.jobs.lock().bytes()
    }

    /// Whether it is left alone after failures.
    #[must_use]
    pub fn is_left_alone(&self) -> bool {
        !self.shared.may_ask()
    }

    /// Shall keep a block, unless too many wait. With `replaced` its key had other bytes before:
    /// those must not be read again.
    pub(crate) fn offer(
        &self,
        namespace: &Arc<Namespace>,
        key: &[u8],
        stored: &Arc<Stored>,
        expires_unix_ms: u64,
        replaced: bool,
    ) {
        let wish = Wish::Put(Arc::clone(stored), expires_unix_ms);
        if self.push(namespace, key, wish) == Taken::Full {
            self.shared.stat.dropped.increment();
            if replaced {
                self.forget(namespace, key);
            }
        }
    }

    /// A key is gone.
    pub(crate) fn forget(&self, namespace: &Arc<Namespace>, key: &[u8]) {
        if self.push(namespace, key, Wish::Gone) == Taken::Full {
            self.shared.stat.dropped.increment();
        }
    }

    fn push(&self, namespace: &Arc<Namespace>, key: &[u8], wish: Wish) -> Taken {
        let most = self.shared.config.queue_bytes;
        let taken = self.shared.jobs.lock().push(namespace, key, wish, most);
        self.shared.wake.notify_one();
        taken
    }

    /// What there is of a key; `None`: nothing, as far as can be told in time.
    pub(crate) async fn find(&self, namespace: &Arc<Namespace>, key: &[u8]) -> Option<Found> {
        match self.shared.wished(namespace, key) {
            Some(Wish::Put(stored, expires)) => {
                return Some(Found::of(&stored, expires)).filter(Found::is_alive);
            }
            Some(Wish::Gone) => return None,
            None => {}
        }
        if !self.shared.is_worth_asking(namespace, key) {
            return None;
        }
        let (shared, namespace) = (Arc::clone(&self.shared), Arc::clone(namespace));
        let key = Box::<[u8]>::from(key);
        let asking = self
            .runtime
            .spawn(async move { shared.find(&namespace, &key).await });
        asking.await.ok()?
    }

    /// A block: what the remote says of it, and its bytes in the place that `reserve` gives.
    pub(crate) async fn fetch<R>(
        &self,
        namespace: &Arc<Namespace>,
        key: &[u8],
        reserve: impl FnOnce(usize) -> R + Send + 'static,
    ) -> Option<(Found, Arc<Stored>)>
    where
        R: Future<Output = Option<Draft>> + Send + 'static,
    {
        match self.shared.wished(namespace, key) {
            Some(Wish::Put(stored, expires)) => {
                let found = Found::of(&stored, expires);
                return found.is_alive().then_some((found, stored));
            }
            Some(Wish::Gone) => return None,
            None => {}
        }
        if !self.shared.is_worth_asking(namespace, key) {
            return None;
        }
        let (shared, namespace) = (Arc::clone(&self.shared), Arc::clone(namespace));
        let key = Box::<[u8]>::from(key);
        let reading = self
            .runtime
            .spawn(async move { shared.fetch(&namespace, &key, reserve).await });
        reading.await.ok()?
    }

    /// Takes out all that a namespace has there, and what of it waits to be written.
    ///
    /// # Errors
    /// What the engine says: some may be there still.
    pub(crate) async fn erase(&self, namespace: &Arc<Namespace>) -> Result<u64, RemoteError> {
        self.shared.jobs.lock().withdraw(namespace.id);
        let folder = format::in_folder(&self.shared.config.prefix, &namespace.name);
        let remote = Arc::clone(&self.shared.config.remote);
        let erasing = self
            .runtime
            .spawn(async move { remote.erase(&folder).await });
        erasing
            .await
            .map_err(|error| RemoteError(Box::new(error)))?
    }

    /// Writes what waits, within this time, and ends.
    pub async fn close(&self, within: Duration) {
        let shared = Arc::clone(&self.shared);
        let drained = timeout(within, async {
            while !shared.jobs.lock().is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        if drained.await.is_err() {
            let bytes = self.waiting_bytes();
            tracing::warn!(bytes, "blocks were not written to the remote tier in time");
        }
        self.end();
    }

    fn end(&self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the remote tier's thread panicked");
        }
    }
}

impl Drop for RemoteTier {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn may_ask(&self) -> bool {
        self.circuit.lock().may_ask(self.now_ms())
    }

    fn wished(&self, namespace: &Namespace, key: &[u8]) -> Option<Wish> {
        self.jobs.lock().wish(namespace.id, key).cloned()
    }

    fn is_worth_asking(&self, namespace: &Namespace, key: &[u8]) -> bool {
        let now_ms = self.now_ms();
        let absent = self.absent.lock().believes(namespace.id, key, now_ms);
        !absent && self.may_ask()
    }

    fn name(&self, namespace: &Namespace, key: &[u8]) -> String {
        format::name(&self.config.prefix, &namespace.name, key)
    }

    /// What a request came to; `None`: it failed, which is noted.
    async fn ask<T>(
        &self,
        within: Duration,
        asked: impl Future<Output = Result<T, RemoteError>>,
    ) -> Option<T> {
        let failed: RemoteError = match timeout(within, asked).await {
            Ok(Ok(answer)) => {
                self.circuit.lock().succeeded();
                return Some(answer);
            }
            Ok(Err(error)) => error,
            Err(_elapsed) => RemoteError("no answer in time".into()),
        };
        self.stat.faults.increment();
        if self.circuit.lock().failed(self.now_ms()) {
            tracing::warn!(error = %failed, "the remote tier fails: it is left alone for a while");
        } else {
            tracing::debug!(error = %failed, "the remote tier failed");
        }
        None
    }

    /// What the object of a key says of itself.
    async fn head(&self, namespace: &Namespace, key: &[u8]) -> Option<Option<Found>> {
        let name = self.name(namespace, key);
        let bytes = format::header_len(&namespace.name, key);
        let asked = self.config.remote.head(&name, bytes);
        let Some(header) = self.ask(self.config.lookup_timeout, asked).await? else {
            return Some(None);
        };
        let found = format::parse(&header, &namespace.name, key);
        if found.is_err() {
            self.stat.corrupt.increment();
        }
        Some(found.ok())
    }

    async fn find(&self, namespace: &Namespace, key: &[u8]) -> Option<Found> {
        let _turn = self.asks.acquire().await.ok()?;
        self.stat.lookups.increment();
        let found = self.head(namespace, key).await?;
        let found = found.filter(Found::is_alive);
        if found.is_none() {
            let now_ms = self.now_ms();
            self.absent.lock().note(namespace.id, key, now_ms);
        }
        // It may have been taken out while the answer was under way.
        found.filter(|_| !matches!(self.wished(namespace, key), Some(Wish::Gone)))
    }

    async fn fetch<R: Future<Output = Option<Draft>>>(
        &self,
        namespace: &Namespace,
        key: &[u8],
        reserve: impl FnOnce(usize) -> R,
    ) -> Option<(Found, Arc<Stored>)> {
        let _turn = self.asks.acquire().await.ok()?;
        let name = self.name(namespace, key);
        let within = self.config.read_timeout;
        let Some(mut pieces) = self.ask(within, self.config.remote.get(&name)).await? else {
            let now_ms = self.now_ms();
            self.absent.lock().note(namespace.id, key, now_ms);
            return None;
        };
        let header_len = format::header_len(&namespace.name, key);
        let mut header = Vec::with_capacity(header_len);
        let mut rest = bytes::Bytes::new();
        while header.len() < header_len {
            let Some(mut piece) = self.ask(within, pieces.next()).await? else {
                self.stat.corrupt.increment();
                return None;
            };
            let count = piece.len().min(header_len - header.len());
            header.extend_from_slice(&piece.split_to(count));
            rest = piece;
        }
        let Ok(found) = format::parse(&header, &namespace.name, key) else {
            self.stat.corrupt.increment();
            return None;
        };
        if !found.is_alive() {
            return None;
        }
        let mut draft = reserve(usize::try_from(found.len).ok()?).await?;
        loop {
            // More bytes than it says it has are not the block either.
            if draft.copy_from(&rest) < rest.len() {
                self.stat.corrupt.increment();
                return None;
            }
            match self.ask(within, pieces.next()).await? {
                Some(piece) => rest = piece,
                None => break,
            }
        }
        let stored = self.checked(namespace, draft, &found);
        stored.map(|stored| (found, stored))
    }

    fn checked(&self, namespace: &Namespace, draft: Draft, found: &Found) -> Option<Arc<Stored>> {
        let block = draft.finish();
        let is_whole = |block: &Block| block.checksum() == found.sum;
        let Some(block) = block.filter(is_whole) else {
            self.stat.corrupt.increment();
            return None;
        };
        self.stat.hits.increment();
        Some(Arc::new(Stored {
            block,
            attributes: namespace.share(found.attributes.clone()),
        }))
    }

    /// One of the writers.
    async fn write(self: Arc<Self>) {
        loop {
            let woken = self.wake.notified();
            let job = self.jobs.lock().next();
            let Some(job) = job else {
                woken.await;
                continue;
            };
            // Another one may sleep while there is more.
            self.wake.notify_one();
            let now_ms = self.now_ms();
            let pause_ms = self.circuit.lock().again_ms().saturating_sub(now_ms);
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            let is_done = self.carry_out(&job).await.is_some();
            let again = !is_done && job.tries + 1 < TRIES;
            if !is_done && !again {
                self.stat.dropped.increment();
            }
            self.jobs.lock().done(&job, again);
        }
    }

    /// `None`: it failed.
    async fn carry_out(&self, job: &Job) -> Option<()> {
        let name = self.name(&job.namespace, &job.key);
        let (stored, expires) = match &job.wish {
            Wish::Gone => {
                let asked = self.config.remote.delete(&name);
                return self.ask(self.config.read_timeout, asked).await;
            }
            Wish::Put(stored, expires) => (stored, *expires),
        };
        let found = Found::of(stored, expires);
        let left = expires.checked_sub(unix_ms()).map(Duration::from_millis);
        if expires != 0 && left.is_none_or(|left| left.is_zero()) {
            return Some(());
        }
        let there = self.head(&job.namespace, &job.key).await?;
        if there.as_ref() == Some(&found) {
            self.stat.known.increment();
            return Some(());
        }
        let pieces = format::object(&job.namespace.name, &job.key, stored, &found);
        let asked = self.config.remote.put(&name, pieces, left);
        let within = self.config.read_timeout + Duration::from_secs(found.len / BYTES_S_MIN);
        self.ask(within, asked).await?;
        self.stat.written.increment();
        self.absent.lock().forget(job.namespace.id, &job.key);
        Some(())
    }
}
