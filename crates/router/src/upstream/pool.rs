//! Idle connections to one replica: last in, first out, apart for each serving thread (a
//! connection belongs to the runtime that opened it).

use super::Link;
use parking_lot::Mutex;
use std::{
    cell::Cell,
    time::{Duration, Instant},
};

thread_local! {
    static SHARD: Cell<usize> = const { Cell::new(0) };
}

/// Says which shard the connections of this thread belong to.
pub(crate) fn set_shard(shard: usize) {
    SHARD.set(shard);
}

/// Idle connections.
#[derive(Debug)]
pub(crate) struct Pool {
    shards: Box<[Mutex<Vec<Link>>]>,
    idle_max: usize,
}

impl Pool {
    pub(crate) fn new(shards: usize, idle_max: usize) -> Self {
        Self {
            shards: (0..shards.max(1)).map(|_| Mutex::default()).collect(),
            idle_max,
        }
    }

    /// The connection used last, unless all have idled too long.
    pub(crate) fn take(&self, now: Instant, idle: Duration) -> Option<Link> {
        let link = self.shard().lock().pop()?;
        (now.saturating_duration_since(link.idle_since) < idle).then_some(link)
    }

    /// Keeps a connection; beyond the bound it is closed.
    pub(crate) fn keep(&self, mut link: Link) {
        link.idle_since = Instant::now();
        let mut idle = self.shard().lock();
        if idle.len() < self.idle_max {
            idle.push(link);
        }
    }

    /// Closes what has idled too long.
    pub(crate) fn sweep(&self, now: Instant, idle: Duration) {
        for shard in &self.shards {
            let old: Vec<Link> = {
                let mut links = shard.lock();
                let old = links
                    .partition_point(|link| now.saturating_duration_since(link.idle_since) >= idle);
                links.drain(..old).collect()
            };
            drop(old); // sockets are closed outside the lock
        }
    }

    fn shard(&self) -> &Mutex<Vec<Link>> {
        &self.shards[SHARD.get() % self.shards.len()]
    }
}
