//! Serves one connection: HTTP/1.1 or HTTP/2 with prior knowledge, over TCP or TLS.

use crate::{
    admin,
    app::App,
    auth, body, debug,
    door::{self, Target},
    error::{self, Cause},
    forward::{self, Whole},
    headers::{self, REQUEST_ID},
    metrics::door_name,
    models,
    queue::Counted,
    reply::Reply,
};
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use onefill_prompt::Door;
use std::{
    convert::Infallible,
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Instant,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Which address a connection came in by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    /// Clients.
    Main,
    /// People and monitoring.
    Admin,
}

/// Largest number of requests at once on one HTTP/2 connection.
const H2_STREAMS_MAX: u32 = 256;

/// Serves a connection to its end; after `shutdown` only what is in flight.
pub(crate) async fn connection(
    app: Arc<App>,
    tcp: TcpStream,
    side: Side,
    shutdown: CancellationToken,
) {
    let _counted = Counted::new(&app.metrics.connections);
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, "connection can't be set to send at once");
    }
    let served = match &app.config.tls {
        Some(tls) if side == Side::Main => {
            let handshake = TlsAcceptor::from(Arc::clone(tls)).accept(tcp);
            match timeout(app.config.timeouts.header, handshake).await {
                Ok(Ok(stream)) => serve(&app, stream, side, shutdown).await,
                Ok(Err(error)) => Err(error.into()),
                Err(_elapsed) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
        }
        _ => serve(&app, tcp, side, shutdown).await,
    };
    if let Err(error) = served {
        tracing::debug!(error, "connection broke");
    }
}

async fn serve<S>(
    app: &Arc<App>,
    stream: S,
    side: Side,
    shutdown: CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(app.config.timeouts.header);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS_MAX);
    let begun = AtomicBool::new(false);
    let service = service_fn(|request| {
        begun.store(true, Relaxed);
        let app = Arc::clone(app);
        async move { Ok::<_, Infallible>(answer(&app, request, side).await) }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // hyper's own time begins when it knows the version of HTTP: a client that says nothing, or
    // half a word, is let go here.
    let silent = async {
        tokio::time::sleep(app.config.timeouts.header).await;
        if begun.load(Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        served = connection.as_mut() => return served,
        () = silent => return Ok(()),
        () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// Answers any request.
async fn answer(app: &Arc<App>, mut request: Request<Incoming>, side: Side) -> Reply {
    let id = headers::request_id(request.headers_mut());
    let target = door::target(request.method(), request.uri().path());
    let door = match target {
        Target::Forward(door) => Some(door),
        _ => None,
    };
    let mut reply = match dispatch(app, request, side, target).await {
        Ok(reply) => reply,
        Err(cause) => {
            let verdict = error::judge(&cause);
            app.metrics.error(verdict.fault, verdict.code);
            tracing::debug!(error = %cause, status = verdict.status.as_u16(), "request refused");
            error::answer(&cause)
        }
    };
    if let Some(door) = door {
        app.metrics
            .answered(door_name(door), reply.status().as_u16());
    }
    reply.headers_mut().entry(REQUEST_ID).or_insert(id);
    reply
}

async fn dispatch(
    app: &Arc<App>,
    request: Request<Incoming>,
    side: Side,
    target: Target,
) -> Result<Reply, Cause> {
    let needs_key = side == Side::Main && !matches!(target, Target::Health | Target::Ready);
    if needs_key {
        auth::check(&app.config.api_keys, request.headers())?;
    }
    let elsewhere = side == Side::Main && app.has_admin;
    match target {
        Target::Health => Ok(admin::health()),
        Target::Ready => Ok(admin::ready(app)),
        Target::Models => Ok(models::list(app)),
        Target::Metrics if !elsewhere => Ok(admin::metrics(app)),
        Target::Drain if !elsewhere => admin::drain(app, request.method(), request.uri().query()),
        Target::DebugFleet => Ok(debug::fleet(app)),
        Target::DebugRecord if !elsewhere => debug::record(app).await,
        Target::DebugRoute => debug_route(app, request).await,
        Target::Forward(door) => send_on(app, request, door).await,
        Target::Metrics | Target::Drain | Target::DebugRecord | Target::Unknown => {
            Err(Cause::UnknownPath(request.uri().path().to_owned()))
        }
    }
}

async fn debug_route(app: &App, request: Request<Incoming>) -> Result<Reply, Cause> {
    if request.method() != http::Method::POST {
        return Err(Cause::Method(request.method().clone()));
    }
    let (parts, incoming) = request.into_parts();
    let (limit, idle) = (
        app.config.limits.body_bytes_max,
        app.config.timeouts.body_idle,
    );
    let body = body::read(&parts.headers, incoming, limit, idle).await?;
    debug::route(app, &parts, &body).await
}

async fn send_on(app: &Arc<App>, request: Request<Incoming>, door: Door) -> Result<Reply, Cause> {
    let (parts, incoming) = request.into_parts();
    // A place first: bodies that wait in the queue are not in memory yet.
    let place = app
        .queue
        .enter(app.config.timeouts.queue, &app.metrics)
        .await?;
    let (limit, idle) = (
        app.config.limits.body_bytes_max,
        app.config.timeouts.body_idle,
    );
    let body = body::read(&parts.headers, incoming, limit, idle).await?;
    let whole = Whole {
        door,
        parts,
        body,
        place,
        arrived: Instant::now(),
    };
    forward::forward(app, whole).await
}
