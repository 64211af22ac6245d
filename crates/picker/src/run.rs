//! Accepts connections until asked to stop; then says so to whoever asks for its health, and takes
//! requests a while longer, until proxies have heard.

use crate::{
    app::App,
    check,
    config::Config,
    flow, pages,
    serve::{Counted, Side, connection},
    tls::Acceptor,
};
use onefill_fleet::FleetHandle;
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Where connections come in. The caller binds.
#[derive(Debug)]
pub struct Listeners {
    /// For `ext_proc`, and health too.
    pub main: TcpListener,
    /// TLS there.
    pub tls: Option<Acceptor>,
    /// For health alone, without TLS.
    pub health: Option<TcpListener>,
    /// For people and monitoring: `/metrics`, `/debug/fleet`, over HTTP/1.
    pub metrics: Option<TcpListener>,
}

/// After a failed accept (no file descriptors left) others get time to close theirs.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What is still in flight after the time to drain gets so long to end.
const END: Duration = Duration::from_secs(1);

/// Runs a picker until `shutdown` is cancelled and the time to drain is over. Needs a tokio runtime
/// with IO and time.
pub async fn run(
    listeners: Listeners,
    config: Config,
    fleet: FleetHandle,
    shutdown: CancellationToken,
) {
    let drain = config.timeouts.drain;
    let app = App::new(config, fleet);
    let end = CancellationToken::new();
    let _end = end.clone().drop_guard();
    let tasks = TaskTracker::new();
    let mut accepting = Vec::new();
    let mut accept = |listener, side, tls| {
        let door = Door {
            app: Arc::clone(&app),
            side,
            tls,
            tasks: tasks.clone(),
            end: end.clone(),
        };
        accepting.push(tokio::spawn(door.accept(listener)));
    };
    accept(listeners.main, Side::Main, listeners.tls);
    if let Some(health) = listeners.health {
        accept(health, Side::Health, None);
    }
    if let Some(metrics) = listeners.metrics {
        tokio::spawn(pages::serve(metrics, Arc::clone(&app), end.clone()));
    }
    let sending = flow::dispatch(Arc::clone(&app));
    tokio::spawn(end.clone().run_until_cancelled_owned(sending));
    let checking = check::watch(Arc::clone(&app));
    tokio::spawn(end.clone().run_until_cancelled_owned(checking));
    shutdown.cancelled().await;
    app.stopping.store(true, Relaxed);
    tracing::info!(
        seconds = drain.as_secs(),
        "asked to stop: not ready any more, requests are taken until proxies have heard"
    );
    tokio::time::sleep(drain).await;
    if let Some(flow) = &app.flow {
        flow.close();
    }
    end.cancel();
    tasks.close();
    app.streams.close();
    let rest = async { tokio::join!(tasks.wait(), app.streams.wait()) };
    if tokio::time::timeout(END, rest).await.is_err() {
        let left = app.streams.len();
        tracing::warn!(left, "stopped before every answer had ended");
    }
}

/// A listener and what it offers.
struct Door {
    app: Arc<App>,
    side: Side,
    tls: Option<Acceptor>,
    tasks: TaskTracker,
    end: CancellationToken,
}

impl Door {
    async fn accept(self, listener: TcpListener) {
        let most = self.app.config.limits.connections_max;
        while !self.end.is_cancelled() {
            if self.app.connections.load(Relaxed) >= most {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
            match self.end.run_until_cancelled(listener.accept()).await {
                None => return,
                Some(Ok((tcp, _peer))) => self.serve(tcp),
                Some(Err(error)) => {
                    tracing::warn!(%error, "connection can't be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn serve(&self, tcp: TcpStream) {
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%error, "a connection stays slow");
        }
        let (app, side, end) = (Arc::clone(&self.app), self.side, self.end.clone());
        let counted = Counted::new(&app);
        let tls = self.tls.clone();
        drop(self.tasks.spawn(async move {
            let _counted = counted;
            let Some(tls) = tls else {
                return connection(app, tcp, side, end).await;
            };
            let patience = app.config.timeouts.handshake;
            match tokio::time::timeout(patience, tls.accept(tcp)).await {
                Ok(Ok(tls)) => connection(app, tls, side, end).await,
                Ok(Err(error)) => tracing::debug!(%error, "no TLS came about"),
                Err(_elapsed) => tracing::debug!("a proxy did not finish its TLS handshake"),
            }
        }));
    }
}
