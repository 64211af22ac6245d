//! Valkey and Redis, alone or as a cluster.

use crate::place::{self, PlaceError};
use bytes::Bytes;
use onefill_store::remote::{Answer, Pieces, Remote, RemoteError};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, FromRedisValue,
    IntoConnectionInfo as _, RedisConnectionInfo, RedisError, aio::MultiplexedConnection,
    cluster::ClusterClient, cluster_async::ClusterConnection,
};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::sync::Mutex;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(2);
/// Longest request: the tier above has nearer deadlines.
const REQUEST: Duration = Duration::from_secs(120);
/// Connections for blocks. Questions have one of their own, so that none waits behind a block.
const BLOCK_LANES: usize = 4;

/// A Valkey or Redis server, or a cluster.
pub(crate) struct Valkey {
    info: ConnectionInfo,
    lanes: [Mutex<Option<Lane>>; BLOCK_LANES + 1],
    turn: AtomicUsize,
}

impl std::fmt::Debug for Valkey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Valkey").finish_non_exhaustive()
    }
}

/// A connection, which several requests share.
#[derive(Clone)]
enum Lane {
    Alone(MultiplexedConnection),
    Cluster(ClusterConnection),
}

fn failed(error: RedisError) -> RemoteError {
    RemoteError(Box::new(error))
}

impl Valkey {
    pub(crate) fn new(place: &place::Valkey) -> Result<Self, PlaceError> {
        let (host, port) = (place.host.clone(), place.port);
        let address = if place.tls {
            ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        let mut redis = RedisConnectionInfo::default().set_db(place.db);
        if let Some(user) = &place.user {
            redis = redis.set_username(user);
        }
        if let Some(password) = &place.password {
            redis = redis.set_password(password);
        }
        let info = address.into_connection_info();
        let info = info.map_err(|error| PlaceError::Engine(Box::new(error)))?;
        Ok(Self {
            info: info.set_redis_settings(redis),
            lanes: Default::default(),
            turn: AtomicUsize::new(0),
        })
    }

    /// A connection made anew, to the cluster if the server is of one.
    async fn connect(&self) -> Result<Lane, RedisError> {
        let client = Client::open(self.info.clone())?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(REQUEST));
        let mut alone = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        let mut ask = redis::cmd("INFO");
        let said: String = ask.arg("cluster").query_async(&mut alone).await?;
        if !said.contains("cluster_enabled:1") {
            return Ok(Lane::Alone(alone));
        }
        let nodes = ClusterClient::builder(vec![self.info.clone()])
            .connection_timeout(CONNECT)
            .response_timeout(REQUEST)
            .build()?;
        Ok(Lane::Cluster(nodes.get_async_connection().await?))
    }

    async fn ask<T: FromRedisValue>(&self, lane: usize, command: &Cmd) -> Result<T, RemoteError> {
        let lane = &self.lanes[lane % self.lanes.len()];
        let mut connection = {
            let mut open = lane.lock().await;
            match &*open {
                Some(connection) => connection.clone(),
                None => {
                    let made = self.connect().await.map_err(failed)?;
                    open.insert(made).clone()
                }
            }
        };
        let answer = match &mut connection {
            Lane::Alone(one) => command.query_async(one).await,
            Lane::Cluster(all) => command.query_async(all).await,
        };
        // A connection that failed is made anew by whoever comes next.
        if let Err(error) = &answer
            && (error.is_io_error() || error.is_unrecoverable_error())
        {
            *lane.lock().await = None;
        }
        answer.map_err(failed)
    }

    async fn is_cluster(&self) -> Result<bool, RemoteError> {
        // Whoever asks anything has a connection, if there is one to be had.
        let _: String = self.ask(0, &redis::cmd("PING")).await?;
        Ok(matches!(
            &*self.lanes[0].lock().await,
            Some(Lane::Cluster(_))
        ))
    }

    /// The next lane for blocks.
    fn block_lane(&self) -> usize {
        1 + self.turn.fetch_add(1, Ordering::Relaxed) % BLOCK_LANES
    }
}

fn some(bytes: Vec<u8>) -> Option<Bytes> {
    (!bytes.is_empty()).then(|| Bytes::from(bytes))
}

impl Remote for Valkey {
    fn head<'a>(&'a self, name: &'a str, bytes: usize) -> Answer<'a, Option<Bytes>> {
        Box::pin(async move {
            // A key that is not there is an empty string; no object is.
            let mut command = redis::cmd("GETRANGE");
            command.arg(name).arg(0).arg(bytes.saturating_sub(1));
            Ok(some(self.ask(0, &command).await?))
        })
    }

    fn get<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Box<dyn Pieces>>> {
        Box::pin(async move {
            let mut command = redis::cmd("GET");
            command.arg(name);
            let answer: Option<Vec<u8>> = self.ask(self.block_lane(), &command).await?;
            let bytes = answer.and_then(some);
            Ok(bytes.map(|bytes| Box::new(Whole(Some(bytes))) as Box<dyn Pieces>))
        })
    }

    fn put<'a>(
        &'a self,
        name: &'a str,
        pieces: Vec<Bytes>,
        ttl: Option<Duration>,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut command = redis::cmd("SET");
            command.arg(name).arg(pieces.concat());
            if let Some(ttl) = ttl {
                let ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
                command.arg("PX").arg(ms.max(1));
            }
            self.ask(self.block_lane(), &command).await
        })
    }

    fn delete<'a>(&'a self, name: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut command = redis::cmd("DEL");
            command.arg(name);
            let _count: i64 = self.ask(0, &command).await?;
            Ok(())
        })
    }

    fn erase<'a>(&'a self, folder: &'a str) -> Answer<'a, u64> {
        Box::pin(async move {
            if self.is_cluster().await? {
                let why = "a cluster's keys can't be walked over: delete them with its own tools";
                return Err(RemoteError(why.into()));
            }
            let (mut cursor, mut count) = (0u64, 0);
            loop {
                let mut command = redis::cmd("SCAN");
                command
                    .arg(cursor)
                    .arg("MATCH")
                    .arg(format!("{folder}/*"))
                    .arg("COUNT")
                    .arg(1000);
                let (next, names): (u64, Vec<String>) = self.ask(0, &command).await?;
                if !names.is_empty() {
                    let mut command = redis::cmd("DEL");
                    let deleted: u64 = self.ask(0, command.arg(names)).await?;
                    count += deleted;
                }
                cursor = next;
                if cursor == 0 {
                    return Ok(count);
                }
            }
        })
    }
}

/// An object that came at once.
struct Whole(Option<Bytes>);

impl Pieces for Whole {
    fn next(&mut self) -> Answer<'_, Option<Bytes>> {
        Box::pin(async move { Ok(self.0.take()) })
    }
}
