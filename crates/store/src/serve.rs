//! Listeners, threads and connections.
//!
//! Each serving thread has a runtime of its own and keeps its connections for their life: a
//! command is read, obeyed and answered on one core, and waking another one is nobody's business.

mod connections;
mod threads;
mod tls;
mod windows;

pub use connections::Connections;
pub use tls::{Tls, TlsError, TlsFiles};
pub use windows::WindowsAt;
pub(crate) use windows::{Promise, Windows};

use crate::{
    admin::{self, Admins, Pages},
    door::{NativeOptions, RespOptions},
    ledger::Door,
    store::{Store, StoreConfig, View},
};
use std::{io, net::TcpListener, sync::Arc, time::Duration};
use threads::{Crew, Guest, Threads};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Wait after the system could not give a connection (it is out of files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often blocks whose time is over are looked for.
const SWEEP_PERIOD: Duration = Duration::from_secs(1);

/// How the server runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// The store.
    pub store: StoreConfig,
    /// Serving threads.
    pub threads: usize,
    /// Connections at once, over all doors.
    pub connections_max: usize,
    /// How long commands in flight may take to end at shutdown.
    pub drain: Duration,
    /// Who may ask for more than figures at the admin address.
    pub admins: Admins,
    /// Where native clients on this machine are handed memory to share.
    pub windows: WindowsAt,
}

/// Which protocol a listener speaks.
#[derive(Clone, Debug)]
pub enum Speaks {
    /// `lm://`.
    Lm,
    /// RESP.
    Resp(Arc<RespOptions>),
    /// Our own.
    Native(Arc<NativeOptions>),
}

impl Speaks {
    /// Whose ledger it writes.
    #[must_use]
    pub fn door(&self) -> Door {
        match self {
            Self::Lm => Door::Lm,
            Self::Resp(_) => Door::Resp,
            Self::Native(_) => Door::Native,
        }
    }
}

/// A bound address for clients.
#[derive(Debug)]
pub struct Listener {
    /// Where they come.
    pub socket: TcpListener,
    /// What they speak.
    pub speaks: Speaks,
    /// Where their keys are.
    pub namespace: String,
    /// Blocks of another size are refused, where this is set.
    pub block_bytes: Option<usize>,
    /// Clients come over TLS, where this is set.
    pub tls: Option<Tls>,
}

/// Serves until `shutdown`, then lets commands in flight end.
pub async fn run(
    config: Config,
    listeners: Vec<Listener>,
    admin: Option<TcpListener>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let store = Store::open(&config.store).map_err(io::Error::other)?;
    let connections = Arc::new(Connections::new(config.connections_max));
    let windows = Windows::open(&config.windows, config.store.memory_bytes)?;
    tokio::spawn(Arc::clone(&windows).serve(shutdown.clone()));
    let crew = Crew {
        connections: Arc::clone(&connections),
        windows: Arc::clone(&windows),
        shutdown: shutdown.clone(),
        drain: config.drain,
    };
    let threads = Threads::start(config.threads, &crew)?;
    for listener in listeners {
        let opened = store
            .namespaces()
            .open(&listener.namespace, listener.block_bytes);
        let namespace = opened.ok_or_else(|| io::Error::other("too many namespaces"))?;
        let view = View::new(Arc::clone(&store), namespace, listener.speaks.door());
        listener.socket.set_nonblocking(true)?;
        let socket = tokio::net::TcpListener::from_std(listener.socket)?;
        tokio::spawn(accept(
            socket,
            listener.speaks,
            listener.tls.map(TlsAcceptor::from),
            view,
            threads.clone(),
            shutdown.clone(),
        ));
    }
    if let Some(socket) = admin {
        socket.set_nonblocking(true)?;
        let pages = Pages {
            store: Arc::clone(&store),
            connections: Arc::clone(&connections),
            windows: Arc::clone(&windows),
            admins: config.admins.clone(),
            shutdown: shutdown.clone(),
        };
        tokio::spawn(admin::serve(
            tokio::net::TcpListener::from_std(socket)?,
            pages,
        ));
    }
    sweep(&store, &shutdown).await;
    threads.end().await;
    if let Some(disk) = store.disk() {
        disk.close();
    }
    if let Some(remote) = store.remote() {
        remote.close(config.drain).await;
    }
    Ok(())
}

/// Takes out blocks whose time is over, until `shutdown`.
async fn sweep(store: &Store, shutdown: &CancellationToken) {
    let mut period = tokio::time::interval(SWEEP_PERIOD);
    loop {
        tokio::select! {
            _ = period.tick() => {}
            () = shutdown.cancelled() => return,
        }
        while store.sweep() {
            tokio::task::yield_now().await;
        }
    }
}

async fn accept(
    socket: tokio::net::TcpListener,
    speaks: Speaks,
    tls: Option<TlsAcceptor>,
    view: View,
    threads: Threads,
    shutdown: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = shutdown.cancelled() => return,
        };
        match accepted.and_then(|(stream, _)| stream.into_std()) {
            Ok(stream) => {
                let guest = Guest {
                    stream,
                    speaks: speaks.clone(),
                    tls: tls.clone(),
                    view: view.clone(),
                };
                threads.admit(guest).await;
            }
            Err(error) => {
                tracing::warn!(%error, "can't take a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
