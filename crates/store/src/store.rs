//! The core that all doors open on.

use crate::{
    catalog::{Catalog, Condition, Count, Gone, Inserted, Limits, Page, Put, Stored},
    disk::{DiskConfig, DiskError, DiskTier, Place, unix_ms},
    ledger::{Door, Ledger, Refusal},
    memory::{Arena, Draft, PAGE},
    namespace::{Namespace, Namespaces},
};
use parking_lot::Mutex;
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

/// How long a PUT waits for room that readers and writers hold.
const ROOM_WAIT: Duration = Duration::from_secs(1);
/// Bytes that are checked before other connections of the thread get their turn.
const CHECK_STEP: usize = 1 << 20;
/// Longest key.
pub const KEY_MAX: usize = 4096;
/// Records take at most one part in this many of the memory, and at least [`RECORDS_MIN`].
const RECORDS_SHARE: usize = 16;
const RECORDS_MIN: usize = 4 << 20;
/// Promises hold at most one part in this many of the memory.
const LEASED_SHARE: usize = 2;
/// Blocks whose time is over that one sweep takes out.
const SWEEP_MAX: usize = 1024;

/// How a store is made.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Bytes for blocks in memory.
    pub memory_bytes: usize,
    /// What goes first when there is no room.
    pub policy: onefill_evict::Choice,
    /// How long a block stays readable after a client was told that it is there.
    pub lease: Duration,
    /// The disk tier, if there shall be one.
    pub disk: Option<DiskConfig>,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            memory_bytes: 4 << 30,
            policy: onefill_evict::Choice::default(),
            lease: Duration::from_secs(5),
            disk: None,
        }
    }
}

/// Blocks and who may have them.
#[derive(Debug)]
pub struct Store {
    arena: Arena,
    catalog: Mutex<Catalog>,
    namespaces: Namespaces,
    disk: Option<Arc<DiskTier>>,
    lease_ms: u64,
    started: Instant,
}

/// What there is at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stat {
    /// Bytes that blocks may take in memory.
    pub memory_bytes: usize,
    /// Bytes that they take.
    pub used_bytes: usize,
    /// Blocks in memory.
    pub blocks: usize,
    /// Bytes that records and keys take, as they are charged.
    pub record_bytes: usize,
    /// Bytes that are promised.
    pub leased_bytes: usize,
}

impl Store {
    /// A store with what its disk tier holds; an empty one without.
    pub fn open(config: &StoreConfig) -> Result<Arc<Self>, DiskError> {
        let namespaces = Namespaces::default();
        let disk = config.disk.as_ref();
        let disk = disk.map(|disk| DiskTier::open(disk, &namespaces).map(Arc::new));
        Ok(Self::over(config, namespaces, disk.transpose()?))
    }

    /// An empty store in memory alone.
    #[must_use]
    pub fn new(config: &StoreConfig) -> Arc<Self> {
        Self::over(config, Namespaces::default(), None)
    }

    fn over(
        config: &StoreConfig,
        namespaces: Namespaces,
        disk: Option<Arc<DiskTier>>,
    ) -> Arc<Self> {
        let arena = Arena::new(config.memory_bytes);
        let limits = Limits {
            record_bytes_max: (config.memory_bytes / RECORDS_SHARE).max(RECORDS_MIN),
            leased_pages_max: arena.pages() / LEASED_SHARE,
        };
        Arc::new(Self {
            catalog: Mutex::new(Catalog::new(config.policy.build(), limits)),
            arena,
            namespaces,
            disk,
            lease_ms: u64::try_from(config.lease.as_millis()).unwrap_or(u64::MAX),
            started: Instant::now(),
        })
    }

    /// All namespaces.
    #[must_use]
    pub fn namespaces(&self) -> &Namespaces {
        &self.namespaces
    }

    /// The disk tier, if there is one.
    #[must_use]
    pub fn disk(&self) -> Option<&Arc<DiskTier>> {
        self.disk.as_ref()
    }

    /// Milliseconds since the store began.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// What there is now.
    #[must_use]
    pub fn stat(&self) -> Stat {
        let free = self.arena.free_pages();
        let catalog = self.catalog.lock();
        Stat {
            memory_bytes: self.arena.pages() * PAGE,
            used_bytes: (self.arena.pages() - free) * PAGE,
            blocks: catalog.len(),
            record_bytes: catalog.record_bytes(),
            leased_bytes: catalog.leased_pages() * PAGE,
        }
    }

    /// What a namespace has.
    #[must_use]
    pub fn count(&self, namespace: &Namespace) -> Count {
        self.catalog.lock().count(namespace.id)
    }

    /// Takes out blocks whose time is over; whether there may be more.
    pub fn sweep(&self) -> bool {
        self.catalog.lock().sweep(SWEEP_MAX, self.now_ms()) == SWEEP_MAX
    }

    fn try_reserve(&self, len: usize) -> Option<Draft> {
        let mut catalog = self.catalog.lock();
        let now_ms = self.now_ms();
        while catalog.is_crowded() {
            drop(catalog.evict(now_ms)?);
        }
        loop {
            if let Some(draft) = self.arena.draft(len) {
                return Some(draft);
            }
            // Blocks that are being read give no pages back yet: then the next round goes on.
            let short = self.arena.shortfall(len).max(1);
            let mut freed = 0;
            while freed < short {
                freed += catalog.evict(now_ms)?.block.pages();
            }
        }
    }

    async fn reserve(&self, len: usize) -> Result<Draft, Refusal> {
        if Draft::pages(len) > self.arena.pages() {
            return Err(Refusal::TooLarge);
        }
        let deadline = tokio::time::Instant::now() + ROOM_WAIT;
        loop {
            let freed = self.arena.freed().notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if let Some(draft) = self.try_reserve(len) {
                return Ok(draft);
            }
            if tokio::time::timeout_at(deadline, freed).await.is_err() {
                return Err(Refusal::Full);
            }
        }
    }
}

/// A namespace as one door's connection sees it: nothing else can be reached through it.
#[derive(Clone, Debug)]
pub struct View {
    store: Arc<Store>,
    namespace: Arc<Namespace>,
    door: Door,
}

impl View {
    /// A door's view of a namespace.
    #[must_use]
    pub fn new(store: Arc<Store>, namespace: Arc<Namespace>, door: Door) -> Self {
        Self {
            store,
            namespace,
            door,
        }
    }

    /// The store behind it.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &Arc<Namespace> {
        &self.namespace
    }

    fn ledger(&self) -> &Ledger {
        self.namespace.ledger(self.door)
    }

    /// A place for a block that is to come. Others may have to go for it.
    pub async fn reserve(&self, key: &[u8], len: usize) -> Result<Draft, Refusal> {
        let sized = self.namespace.block_bytes;
        let reserved = if key.is_empty() || key.len() > KEY_MAX {
            Err(Refusal::Key)
        } else if sized.is_some_and(|size| size != len) {
            Err(Refusal::WrongSize)
        } else {
            self.store.reserve(len).await
        };
        reserved.inspect_err(|refusal| self.ledger().refused[*refusal as usize].increment())
    }

    /// The client went before the block was whole.
    pub fn abort(&self, draft: Draft) {
        drop(draft);
        self.ledger().aborted.increment();
    }

    /// Publishes a block, whole; `None` where bytes are missing or are not those that were sent.
    pub fn commit(&self, key: &[u8], draft: Draft, put: &Put) -> Option<Inserted> {
        let block = draft.finish()?;
        if put.sum.is_some_and(|sum| sum != block.checksum()) {
            self.ledger().aborted.increment();
            return None;
        }
        let bytes = block.len() as u64;
        let stored = Arc::new(Stored {
            block,
            attributes: put.attributes,
        });
        let inserted = match put.condition {
            Condition::Absent if self.on_disk(key).is_some() => Inserted::Unmet,
            _ => self.insert(key, &stored, put),
        };
        let ledger = self.ledger();
        if inserted != Inserted::Unmet {
            ledger.puts.increment();
            ledger.put_bytes.add(bytes);
            let recent = &self.namespace.recent_bytes;
            recent.store(bytes, Ordering::Relaxed);
        }
        if inserted == Inserted::Replaced {
            ledger.replaced.increment();
        }
        // It may be evicted now, which it could not while it was being written.
        self.store.arena.freed().notify_waiters();
        Some(inserted)
    }

    /// Into memory, and behind that to disk.
    fn insert(&self, key: &[u8], stored: &Arc<Stored>, put: &Put) -> Inserted {
        let now_ms = self.store.now_ms();
        let mut catalog = self.store.catalog.lock();
        let inserted = catalog.insert(self.namespace.id, key, Arc::clone(stored), put, now_ms);
        drop(catalog);
        if let Some(disk) = self.store.disk()
            && inserted != Inserted::Unmet
        {
            let left = put.expires_ms.map(|end| end.saturating_sub(now_ms));
            let expires = left.map_or(0, |left| unix_ms().saturating_add(left));
            disk.offer(&self.namespace, key, stored, expires);
        }
        inserted
    }

    fn on_disk(&self, key: &[u8]) -> Option<Place> {
        self.store.disk()?.find(self.namespace.id, key)
    }

    /// Reads a block from disk into memory. Several who want it read it once.
    async fn fetch(&self, key: &[u8]) -> Option<Arc<Stored>> {
        let disk = self.store.disk()?;
        let namespace = self.namespace.id;
        let place = disk.find(namespace, key)?;
        let Some(_flight) = disk.take_off(namespace, key).await else {
            let now_ms = self.store.now_ms();
            return self.store.catalog.lock().get(namespace, key, now_ms).ok();
        };
        let len = usize::try_from(place.len).ok()?;
        let draft = self.store.reserve(len).await.ok()?;
        let (tier, owned) = (Arc::clone(disk), Box::<[u8]>::from(key));
        let read = move || tier.read(namespace, &owned, &place, draft);
        let block = tokio::task::spawn_blocking(read).await.ok()??;
        let stored = Arc::new(Stored {
            block,
            attributes: place.attributes,
        });
        let now_ms = self.store.now_ms();
        let left = place.expires_unix_ms.checked_sub(unix_ms());
        let put = Put {
            condition: Condition::Absent,
            expires_ms: left.map(|left| now_ms + left),
            attributes: place.attributes,
            ..Put::default()
        };
        let mut catalog = self.store.catalog.lock();
        if catalog.insert(namespace, key, Arc::clone(&stored), &put, now_ms) == Inserted::Unmet {
            // A newer one was put while this one was read.
            return catalog.get(namespace, key, now_ms).ok();
        }
        // It was taken out, or put anew and let go, while it was read: what was read is old.
        if disk.find(namespace, key).map(|now| now.serial) != Some(place.serial) {
            catalog.remove(namespace, key, Gone::Deleted, now_ms);
            return None;
        }
        Some(stored)
    }

    /// Publishes a block with a flipped bit, as bad memory would leave it.
    #[cfg(test)]
    pub(crate) fn commit_corrupt(&self, key: &[u8], mut draft: Draft, bytes: &[u8], put: &Put) {
        draft.copy_from(bytes);
        let Some(mut block) = draft.finish() else {
            return;
        };
        block.corrupt();
        let stored = Arc::new(Stored {
            block,
            attributes: put.attributes,
        });
        let mut catalog = self.store.catalog.lock();
        catalog.insert(self.namespace.id, key, stored, put, 0);
    }

    /// The block of a key, with its bytes checked; why it is not there, and its size where that is
    /// known.
    pub async fn read(&self, key: &[u8]) -> Result<Arc<Stored>, (Gone, Option<u64>)> {
        let now_ms = self.store.now_ms();
        let found = self
            .store
            .catalog
            .lock()
            .get(self.namespace.id, key, now_ms);
        let found = match found {
            Ok(stored) => self.checked(key, stored).await,
            Err(gone) => Err(gone),
        };
        let found = match found {
            Ok(stored) => Ok(stored),
            Err(gone) => self.fetch(key).await.ok_or(gone),
        };
        let ledger = self.ledger();
        match &found {
            Ok(stored) => {
                ledger.hits.increment();
                ledger.hit_bytes.add(stored.block.len() as u64);
            }
            Err((gone, _)) => ledger.misses[*gone as usize].increment(),
        }
        found
    }

    async fn checked(
        &self,
        key: &[u8],
        stored: Arc<Stored>,
    ) -> Result<Arc<Stored>, (Gone, Option<u64>)> {
        let mut check = stored.block.check();
        let verdict = loop {
            match check.step(CHECK_STEP) {
                Some(verdict) => break verdict,
                None => tokio::task::yield_now().await,
            }
        };
        drop(check);
        if verdict {
            return Ok(stored);
        }
        tracing::error!(
            namespace = self.namespace.name,
            bytes = stored.block.len(),
            "a block's bytes are not those that came in: taken out"
        );
        let mut catalog = self.store.catalog.lock();
        catalog.quarantine(self.namespace.id, key, &stored);
        Err((Gone::Corrupt, Some(stored.block.len() as u64)))
    }

    /// The size of the block of a key, if it is there. With `lease` it stays readable for a while,
    /// until it is read.
    pub fn lookup(&self, key: &[u8], lease: bool) -> Option<usize> {
        let lease_ms = if lease { self.store.lease_ms } else { 0 };
        let now_ms = self.store.now_ms();
        let mut catalog = self.store.catalog.lock();
        let found = catalog.promise(self.namespace.id, key, lease_ms, now_ms);
        drop(catalog);
        let on_disk = || usize::try_from(self.on_disk(key)?.len).ok();
        let found = found.or_else(on_disk);
        self.ledger().lookups.increment();
        if found.is_some() {
            self.ledger().lookup_hits.increment();
        }
        found
    }

    /// A block is used; its size, if it is there.
    pub fn touch(&self, key: &[u8]) -> Option<usize> {
        let now_ms = self.store.now_ms();
        let mut catalog = self.store.catalog.lock();
        let found = catalog.promise(self.namespace.id, key, 0, now_ms);
        drop(catalog);
        found.or_else(|| usize::try_from(self.on_disk(key)?.len).ok())
    }

    /// A promise is not wanted; the block's size, if it is there.
    pub fn release(&self, key: &[u8]) -> Option<usize> {
        let now_ms = self.store.now_ms();
        let mut catalog = self.store.catalog.lock();
        catalog.release(self.namespace.id, key, now_ms)
    }

    /// Takes a block out; its size, if it was there.
    pub fn delete(&self, key: &[u8]) -> Option<usize> {
        let now_ms = self.store.now_ms();
        let mut catalog = self.store.catalog.lock();
        let removed = catalog.remove(self.namespace.id, key, Gone::Deleted, now_ms);
        drop(catalog);
        let disk = self.store.disk();
        let forgotten = disk.and_then(|disk| disk.forget(&self.namespace, key));
        removed.or(forgotten.and_then(|len| usize::try_from(len).ok()))
    }

    /// Makes a block stay, or lets it go; its size, if it is there.
    pub fn pin(&self, key: &[u8], pinned: bool) -> Option<usize> {
        let now_ms = self.store.now_ms();
        let mut catalog = self.store.catalog.lock();
        catalog.pin(self.namespace.id, key, pinned, now_ms)
    }

    /// Sets or takes away a block's end; whether there is such a block.
    pub fn expire(&self, key: &[u8], end_ms: Option<u64>) -> bool {
        let now_ms = self.store.now_ms();
        let mut catalog = self.store.catalog.lock();
        catalog.expire(self.namespace.id, key, end_ms, now_ms)
    }

    /// When a block ends: `None` where there is no such block, `Some(None)` where it has no end.
    pub fn ends(&self, key: &[u8]) -> Option<Option<u64>> {
        let now_ms = self.store.now_ms();
        let mut catalog = self.store.catalog.lock();
        catalog.ends(self.namespace.id, key, now_ms)
    }

    /// Some of the keys.
    #[must_use]
    pub fn scan(&self, cursor: u64, count: usize) -> Page {
        let now_ms = self.store.now_ms();
        let catalog = self.store.catalog.lock();
        catalog.scan(self.namespace.id, cursor, count, now_ms)
    }

    /// What the namespace has.
    #[must_use]
    pub fn count(&self) -> Count {
        self.store.count(&self.namespace)
    }
}
