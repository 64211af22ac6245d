//! The store as one door's connection sees it.

use super::{KEY_MAX, Store};
use crate::{
    catalog::{Condition, Count, Gone, Inserted, Page, Put, Stored},
    disk::{Place, unix_ms},
    flights::Flight,
    ledger::{Door, Ledger, Refusal},
    memory::Draft,
    namespace::Namespace,
};
use hashbrown::HashSet;
use std::sync::{Arc, atomic::Ordering};

/// Bytes that are checked before other connections of the thread get their turn.
const CHECK_STEP: usize = 1 << 20;
/// Keys that one step over all of them takes under the lock.
const SCAN_STEP: usize = 1024;

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
            attributes: put.attributes.clone(),
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

    /// Into memory, and behind that to disk and to the remote.
    fn insert(&self, key: &[u8], stored: &Arc<Stored>, put: &Put) -> Inserted {
        let now_ms = self.store.now_ms();
        let mut catalog = self.store.catalog.lock();
        let inserted = catalog.insert(self.namespace.id, key, Arc::clone(stored), put, now_ms);
        drop(catalog);
        if inserted == Inserted::Unmet {
            return inserted;
        }
        self.store.flights.spoil(self.namespace.id, key);
        let left = put.expires_ms.map(|end| end.saturating_sub(now_ms));
        let expires = left.map_or(0, |left| unix_ms().saturating_add(left));
        if let Some(disk) = self.store.disk() {
            disk.offer(&self.namespace, key, stored, expires);
        }
        if let Some(remote) = self.store.remote() {
            let replaced = inserted == Inserted::Replaced;
            remote.offer(&self.namespace, key, stored, expires, replaced);
        }
        inserted
    }

    fn on_disk(&self, key: &[u8]) -> Option<Place> {
        self.store.disk()?.find(self.namespace.id, key)
    }

    /// Reads a block from a lower tier into memory. Several who want it read it once.
    async fn fetch(&self, key: &[u8]) -> Option<Arc<Stored>> {
        let store = &self.store;
        if store.remote.is_none() {
            self.on_disk(key)?;
        }
        let Some(flight) = store.flights.take_off(self.namespace.id, key).await else {
            let now_ms = store.now_ms();
            let mut catalog = store.catalog.lock();
            return catalog.get(self.namespace.id, key, now_ms).ok();
        };
        match self.fetch_from_disk(key, &flight).await {
            Some(stored) => Some(stored),
            None => self.fetch_from_remote(key, &flight).await,
        }
    }

    async fn fetch_from_disk(&self, key: &[u8], flight: &Flight<'_>) -> Option<Arc<Stored>> {
        let disk = self.store.disk()?;
        let namespace = self.namespace.id;
        let place = disk.find(namespace, key)?;
        let len = usize::try_from(place.len).ok()?;
        let draft = self.store.reserve(len).await.ok()?;
        let (tier, owned) = (Arc::clone(disk), Box::<[u8]>::from(key));
        let (attributes, expires_unix_ms) = (place.attributes.clone(), place.expires_unix_ms);
        let read = move || tier.read(namespace, &owned, &place, draft);
        let block = tokio::task::spawn_blocking(read).await.ok()??;
        let stored = Arc::new(Stored { block, attributes });
        self.promote(key, stored, expires_unix_ms, flight)
    }

    async fn fetch_from_remote(&self, key: &[u8], flight: &Flight<'_>) -> Option<Arc<Stored>> {
        let remote = self.store.remote()?;
        let store = Arc::clone(&self.store);
        let reserve = move |len| async move { store.reserve(len).await.ok() };
        let (found, stored) = remote.fetch(&self.namespace, key, reserve).await?;
        self.promote(key, stored, found.expires_unix_ms, flight)
    }

    /// What was read from a lower tier comes into memory, unless the key was written or taken out
    /// meanwhile.
    fn promote(
        &self,
        key: &[u8],
        stored: Arc<Stored>,
        expires_unix_ms: u64,
        flight: &Flight<'_>,
    ) -> Option<Arc<Stored>> {
        let (namespace, now_ms) = (self.namespace.id, self.store.now_ms());
        let left = expires_unix_ms.checked_sub(unix_ms());
        let put = Put {
            condition: Condition::Absent,
            expires_ms: left.map(|left| now_ms + left),
            attributes: stored.attributes.clone(),
            ..Put::default()
        };
        let mut catalog = self.store.catalog.lock();
        // Whoever takes a key out spoils the flight before he comes for the lock.
        if flight.is_spoilt() {
            return catalog.get(namespace, key, now_ms).ok();
        }
        match catalog.insert(namespace, key, Arc::clone(&stored), &put, now_ms) {
            Inserted::Unmet => catalog.get(namespace, key, now_ms).ok(),
            _ => Some(stored),
        }
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
            attributes: put.attributes.clone(),
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
    pub async fn lookup(&self, key: &[u8], lease: bool) -> Option<usize> {
        let lease_ms = if lease { self.store.lease_ms } else { 0 };
        let found = self.promise(key, lease_ms);
        let on_disk = || usize::try_from(self.on_disk(key)?.len).ok();
        let found = match (found.or_else(on_disk), self.store.remote()) {
            (None, Some(remote)) => {
                let there = remote.find(&self.namespace, key).await;
                there.and_then(|there| usize::try_from(there.len).ok())
            }
            (found, _) => found,
        };
        self.ledger().lookups.increment();
        if found.is_some() {
            self.ledger().lookup_hits.increment();
        }
        found
    }

    /// The size of a block in memory, which is used and stays for so long.
    fn promise(&self, key: &[u8], lease_ms: u64) -> Option<usize> {
        let now_ms = self.store.now_ms();
        let mut catalog = self.store.catalog.lock();
        catalog.promise(self.namespace.id, key, lease_ms, now_ms)
    }

    /// A block in memory or on disk is used; its size, if it is there.
    pub fn touch(&self, key: &[u8]) -> Option<usize> {
        self.promise(key, 0)
            .or_else(|| usize::try_from(self.on_disk(key)?.len).ok())
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
        self.store.flights.spoil(self.namespace.id, key);
        if let Some(remote) = self.store.remote() {
            remote.forget(&self.namespace, key);
        }
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

    /// All keys in memory and on disk: those on disk in the order in which they lie there.
    pub(crate) fn keys(&self) -> Vec<Box<[u8]>> {
        let mut keys = HashSet::new();
        let mut cursor = 0;
        loop {
            let page = self.scan(cursor, SCAN_STEP);
            keys.extend(page.keys.into_iter().map(|(key, _)| key));
            if page.next == 0 {
                break;
            }
            cursor = page.next;
        }
        let on_disk = self.store.disk().map(|disk| disk.keys(self.namespace.id));
        let mut all = on_disk.unwrap_or_default();
        for key in &all {
            keys.remove(key);
        }
        all.extend(keys);
        all
    }

    /// Reads a block in memory and on disk, and takes it out of where its bytes are not its own.
    pub(crate) async fn verify(&self, key: &[u8]) -> Sound {
        let mut sound = Sound::default();
        let now_ms = self.store.now_ms();
        let found = self
            .store
            .catalog
            .lock()
            .get(self.namespace.id, key, now_ms);
        if let Ok(stored) = found {
            sound.bytes += stored.block.len() as u64;
            sound.corrupt |= self.checked(key, stored).await.is_err();
        }
        if let Some(disk) = self.store.disk() {
            let (tier, owned) = (Arc::clone(disk), Box::<[u8]>::from(key));
            let namespace = self.namespace.id;
            let verify = move || tier.verify(namespace, &owned);
            if let Ok(Some((bytes, is_whole))) = tokio::task::spawn_blocking(verify).await {
                sound.bytes += bytes;
                sound.corrupt |= !is_whole;
            }
        }
        sound
    }

    /// Takes out all blocks in memory and on disk, and such as these at the remote; how many.
    pub(crate) fn flush(&self) -> usize {
        let keys = self.keys();
        keys.iter().filter(|key| self.delete(key).is_some()).count()
    }

    /// What the namespace has.
    #[must_use]
    pub fn count(&self) -> Count {
        self.store.count(&self.namespace)
    }
}

/// What a block's check came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sound {
    /// Bytes read.
    pub bytes: u64,
    /// Whether any were not the block's.
    pub corrupt: bool,
}
