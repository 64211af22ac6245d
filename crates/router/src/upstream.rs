//! Connections to replicas. A request drives its connection itself, inside its own task: nothing
//! is spawned and no other task has to wake between a replica's bytes and the client's.

mod link;
mod origin;
mod pool;

pub(crate) use link::Link;
pub(crate) use origin::Origin;
pub(crate) use pool::{Pool, set_shard};

use crate::config::Timeouts;
use std::{io, sync::Arc, time::Instant};

/// How connections are made and kept.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    pub(crate) timeouts: Timeouts,
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
}

impl Connector {
    /// An idle connection that still lives, or a new one.
    pub(crate) async fn link(&self, origin: &Origin, pool: &Pool) -> io::Result<Link> {
        while let Some(link) = pool.take(Instant::now(), self.timeouts.upstream_idle) {
            if let Some(link) = link.revive().await {
                return Ok(link);
            }
        }
        self.fresh(origin).await
    }

    /// A new connection.
    pub(crate) async fn fresh(&self, origin: &Origin) -> io::Result<Link> {
        let connect = Link::connect(origin, self.tls.as_ref());
        match tokio::time::timeout(self.timeouts.connect, connect).await {
            Ok(link) => link,
            Err(_elapsed) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}
