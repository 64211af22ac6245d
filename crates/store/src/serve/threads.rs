//! Serving threads.

use super::{Connections, Speaks, Windows};
use crate::{
    door::{Conn, DoorError, serve_lm, serve_native, serve_resp},
    store::View,
};
use std::{
    io,
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime,
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Connections that wait for a thread to begin with them.
const WAITING_MAX: usize = 256;
/// A client that takes longer over its TLS handshake is let go.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A connection on its way to a thread.
pub(super) struct Guest {
    pub(super) stream: TcpStream,
    pub(super) speaks: Speaks,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) view: View,
}

/// The threads, each with its own runtime.
#[derive(Clone, Debug)]
pub(super) struct Threads {
    doors: Arc<[mpsc::Sender<(u64, Guest)>]>,
    /// Tells connections apart, and spreads them over the threads in turn.
    next: Arc<AtomicU64>,
    ended: TaskTracker,
}

impl Threads {
    pub(super) fn start(count: usize, crew: &Crew) -> io::Result<Self> {
        let ended = TaskTracker::new();
        let mut doors = Vec::new();
        for index in 0..count.max(1) {
            let (door, guests) = mpsc::channel(WAITING_MAX);
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let crew = crew.clone();
            let token = ended.token();
            std::thread::Builder::new()
                .name(format!("store-{index}"))
                .spawn(move || {
                    runtime.block_on(crew.host(guests));
                    drop(token);
                })?;
            doors.push(door);
        }
        Ok(Self {
            doors: doors.into(),
            next: Arc::default(),
            ended,
        })
    }

    /// Gives a connection to the next thread.
    pub(super) async fn admit(&self, guest: Guest) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let threads = self.doors.len() as u64;
        let index = usize::try_from(id % threads).unwrap_or(0);
        if self.doors[index].send((id + 1, guest)).await.is_err() {
            tracing::debug!("a connection came after the end");
        }
    }

    /// Waits until all threads are done.
    pub(super) async fn end(&self) {
        self.ended.close();
        self.ended.wait().await;
    }
}

/// What every thread has.
#[derive(Clone, Debug)]
pub(super) struct Crew {
    pub(super) connections: Arc<Connections>,
    pub(super) windows: Arc<Windows>,
    pub(super) shutdown: CancellationToken,
    /// How long commands in flight may take to end at shutdown.
    pub(super) drain: Duration,
}

impl Crew {
    async fn host(self, mut guests: mpsc::Receiver<(u64, Guest)>) {
        let tasks = TaskTracker::new();
        loop {
            let guest = tokio::select! {
                guest = guests.recv() => guest,
                () = self.shutdown.cancelled() => None,
            };
            let Some((id, guest)) = guest else {
                break;
            };
            let Some(place) = self.connections.enter(guest.speaks.door()) else {
                continue;
            };
            let crew = self.clone();
            tasks.spawn(async move {
                crew.connections.ended(crew.serve(id, guest).await);
                drop(place);
            });
        }
        tasks.close();
        if tokio::time::timeout(self.drain, tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(commands = tasks.len(), "ended in the middle of commands");
        }
    }

    async fn serve(&self, id: u64, guest: Guest) -> Result<(), DoorError> {
        let stream = tokio::net::TcpStream::from_std(guest.stream)?;
        stream.set_nodelay(true)?;
        let shutdown = self.shutdown.clone();
        let spoken = (guest.speaks, guest.view);
        let Some(tls) = guest.tls else {
            return self.speak(Conn::new(stream, shutdown), spoken, id).await;
        };
        let shaken = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await;
        let stream = shaken.map_err(|_elapsed| DoorError::Stalled)?;
        let stream = stream.map_err(DoorError::Tls)?;
        self.speak(Conn::new(stream, shutdown), spoken, id).await
    }

    /// Serves a connection in its protocol.
    async fn speak<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        conn: Conn<S>,
        (speaks, view): (Speaks, View),
        id: u64,
    ) -> Result<(), DoorError> {
        match speaks {
            Speaks::Lm => serve_lm(conn, view).await,
            Speaks::Native(options) => serve_native(conn, view, &options, &self.windows).await,
            Speaks::Resp(options) => serve_resp(conn, view, options, id).await,
        }
    }
}
