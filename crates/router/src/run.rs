//! Accepts connections until asked to stop, then lets what is in flight end.

use crate::{
    app::App,
    check,
    config::Config,
    serve::{Side, connection},
    upstream,
};
use onefill_fleet::FleetHandle;
use std::{
    io, net,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Where connections come in. The caller binds.
#[derive(Debug)]
pub struct Listeners {
    /// For clients.
    pub main: TcpListener,
    /// For people and monitoring: `/metrics`, `/debug`, `/health`, `/ready`. `None`: all on
    /// `main`.
    pub admin: Option<TcpListener>,
}

/// A router that could not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A serving thread could not be started.
    #[error("serving thread {number} can't be started")]
    Thread {
        /// Which one.
        number: usize,
        /// Why.
        source: io::Error,
    },
}

/// Connections waiting for a serving thread.
const HANDED_MAX: usize = 1024;
/// After a failed accept (no file descriptors left) others get time to close theirs.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Runs a router until `shutdown` is cancelled and requests in flight have ended (or their time
/// has). Needs a tokio runtime with IO and time.
pub async fn run(
    listeners: Listeners,
    config: Config,
    fleet: FleetHandle,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let drain = config.timeouts.drain;
    let app = App::new(config, fleet, listeners.admin.is_some());
    // Ends last: what serves those requests that are still in flight when the rest has stopped.
    let end = CancellationToken::new();
    let _end = end.clone().drop_guard();
    let front = Front::start(&app, &shutdown, &end)?;
    background(&app, listeners.admin, &end);
    accept(&listeners.main, &app, &shutdown, |tcp| front.serve(tcp)).await;
    drop(listeners.main); // new connections are refused from here on
    app.stopping.store(true, Relaxed);
    front.tasks.close();
    if tokio::time::timeout(drain, front.tasks.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            left = front.tasks.len(),
            "stopped before every request had ended"
        );
    }
    Ok(())
}

/// What goes on beside the clients' connections.
fn background(app: &Arc<App>, admin: Option<TcpListener>, end: &CancellationToken) {
    tokio::spawn(until(end.clone(), check::watch(Arc::clone(app))));
    let sweeping = Arc::clone(app);
    tokio::spawn(until(end.clone(), async move { sweeping.sweep().await }));
    if let Some(listener) = admin {
        let (app, end) = (Arc::clone(app), end.clone());
        tokio::spawn(async move {
            accept(&listener, &app, &end, |tcp| {
                let serving = connection(Arc::clone(&app), tcp, Side::Admin, end.clone());
                tokio::spawn(until(end.clone(), serving));
            })
            .await;
        });
    }
}

async fn until(end: CancellationToken, work: impl Future<Output = ()>) {
    end.run_until_cancelled(work).await;
}

async fn accept(
    listener: &TcpListener,
    app: &App,
    shutdown: &CancellationToken,
    mut serve: impl FnMut(TcpStream),
) {
    let most = i64::try_from(app.config.limits.connections_max).unwrap_or(i64::MAX);
    while !shutdown.is_cancelled() {
        if app.metrics.connections.get() >= most {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        }
        match shutdown.run_until_cancelled(listener.accept()).await {
            None => return,
            Some(Ok((tcp, _peer))) => serve(tcp),
            Some(Err(error)) => {
                tracing::warn!(%error, "connection can't be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Those who serve clients' connections: the caller's runtime, or threads with one each, to which
/// connections go in turn.
struct Front {
    app: Arc<App>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    threads: Vec<mpsc::Sender<net::TcpStream>>,
    next: AtomicUsize,
}

impl Front {
    fn start(
        app: &Arc<App>,
        shutdown: &CancellationToken,
        end: &CancellationToken,
    ) -> Result<Self, RunError> {
        let mut front = Self {
            app: Arc::clone(app),
            tasks: TaskTracker::new(),
            shutdown: shutdown.clone(),
            threads: Vec::new(),
            next: AtomicUsize::new(0),
        };
        for number in 0..app.config.threads {
            let started = front.thread(number, end.clone());
            front
                .threads
                .push(started.map_err(|source| RunError::Thread { number, source })?);
        }
        Ok(front)
    }

    fn thread(
        &self,
        number: usize,
        end: CancellationToken,
    ) -> io::Result<mpsc::Sender<net::TcpStream>> {
        let (hand, mut handed) = mpsc::channel::<net::TcpStream>(HANDED_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (app, tasks, shutdown) = (
            Arc::clone(&self.app),
            self.tasks.clone(),
            self.shutdown.clone(),
        );
        let serve = async move {
            while let Some(tcp) = handed.recv().await {
                match TcpStream::from_std(tcp) {
                    Ok(tcp) => {
                        let app = Arc::clone(&app);
                        drop(tasks.spawn(connection(app, tcp, Side::Main, shutdown.clone())));
                    }
                    Err(error) => tracing::warn!(%error, "connection can't be handed over"),
                }
            }
        };
        std::thread::Builder::new()
            .name(format!("serve-{number}"))
            .spawn(move || {
                upstream::set_shard(number);
                runtime.block_on(until(end, async {
                    serve.await;
                    std::future::pending::<()>().await;
                }));
                runtime.shutdown_background();
            })?;
        Ok(hand)
    }

    fn serve(&self, tcp: TcpStream) {
        let turn = self.next.fetch_add(1, Relaxed) % self.threads.len().max(1);
        match self.threads.get(turn) {
            None => {
                let serving = connection(
                    Arc::clone(&self.app),
                    tcp,
                    Side::Main,
                    self.shutdown.clone(),
                );
                drop(self.tasks.spawn(serving));
            }
            Some(hand) => {
                let handed = tcp.into_std().map(|tcp| hand.try_send(tcp));
                if !matches!(handed, Ok(Ok(()))) {
                    tracing::warn!("connection dropped: serving threads are too far behind");
                }
            }
        }
    }
}
