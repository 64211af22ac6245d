//! The core that all doors open on.

mod view;

use crate::{
    catalog::{Catalog, Count, Limits},
    disk::{DiskConfig, DiskError, DiskTier},
    flights::Flights,
    ledger::Refusal,
    memory::{Arena, Draft, PAGE},
    namespace::{Namespace, Namespaces},
    remote::{RemoteConfig, RemoteTier},
};
use parking_lot::Mutex;
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a PUT waits for room that readers and writers hold.
const ROOM_WAIT: Duration = Duration::from_secs(1);
/// Longest key.
pub const KEY_MAX: usize = 4096;
/// Records take at most one part in this many of the memory, and at least [`RECORDS_MIN`].
const RECORDS_SHARE: usize = 16;
const RECORDS_MIN: usize = 4 << 20;
/// Promises hold at most one part in this many of the memory.
const LEASED_SHARE: usize = 2;
/// Blocks whose time is over that one sweep takes out.
const SWEEP_MAX: usize = 1024;

pub use view::{Sound, View};

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
    /// The remote tier, if there shall be one.
    pub remote: Option<RemoteConfig>,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            memory_bytes: 4 << 30,
            policy: onefill_evict::Choice::default(),
            lease: Duration::from_secs(5),
            disk: None,
            remote: None,
        }
    }
}

/// Blocks and who may have them.
#[derive(Debug)]
pub struct Store {
    pub(super) arena: Arena,
    pub(super) catalog: Mutex<Catalog>,
    namespaces: Namespaces,
    disk: Option<Arc<DiskTier>>,
    remote: Option<Arc<RemoteTier>>,
    pub(super) flights: Flights,
    pub(super) lease_ms: u64,
    started: Instant,
}

/// A store that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its disk tier.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Its remote tier.
    #[error("the remote tier's thread")]
    Remote(#[source] io::Error),
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
    /// A store with what its lower tiers hold; an empty one without.
    pub fn open(config: &StoreConfig) -> Result<Arc<Self>, OpenError> {
        let namespaces = Namespaces::default();
        let disk = config.disk.as_ref();
        let disk = disk.map(|disk| DiskTier::open(disk, &namespaces).map(Arc::new));
        let disk = disk.transpose()?;
        let remote = config.remote.as_ref();
        let remote = remote.map(|remote| RemoteTier::start(remote).map(Arc::new));
        let remote = remote.transpose().map_err(OpenError::Remote)?;
        Ok(Self::over(config, namespaces, disk, remote))
    }

    /// An empty store in memory alone.
    #[must_use]
    pub fn new(config: &StoreConfig) -> Arc<Self> {
        Self::over(config, Namespaces::default(), None, None)
    }

    fn over(
        config: &StoreConfig,
        namespaces: Namespaces,
        disk: Option<Arc<DiskTier>>,
        remote: Option<Arc<RemoteTier>>,
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
            remote,
            flights: Flights::default(),
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

    /// The remote tier, if there is one.
    #[must_use]
    pub fn remote(&self) -> Option<&Arc<RemoteTier>> {
        self.remote.as_ref()
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

    /// Lets go of all blocks in memory, as eviction would.
    #[cfg(test)]
    pub(crate) fn forget_memory(&self) {
        let mut catalog = self.catalog.lock();
        for namespace in self.namespaces.all() {
            let page = catalog.scan(namespace.id, 0, usize::MAX, 0);
            for (key, _) in page.keys {
                catalog.remove(namespace.id, &key, crate::catalog::Gone::Evicted, 0);
            }
        }
    }

    pub(super) async fn reserve(&self, len: usize) -> Result<Draft, Refusal> {
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
