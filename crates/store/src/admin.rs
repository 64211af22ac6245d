//! The address for people and monitoring: `/metrics`, `/health`, `/ready`, and what `onefill store`'s
//! subcommands ask for ([`blocks`]).

mod blocks;
mod verify;

pub use blocks::written;

use crate::{
    door::is_same,
    metrics,
    serve::{Connections, Windows},
    store::Store,
};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

/// Connections to this address at once.
const CONNECTIONS_MAX: usize = 64;
/// A client that takes longer to say what it wants is let go.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Wait after the system could not give a connection (it is out of files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the pages are made of.
#[derive(Clone, Debug)]
pub(crate) struct Pages {
    pub(crate) store: Arc<Store>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) windows: Arc<Windows>,
    pub(crate) admins: Admins,
    pub(crate) shutdown: CancellationToken,
}

/// Answers until `shutdown`.
pub(crate) async fn serve(listener: TcpListener, pages: Pages) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = pages.shutdown.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let pages = pages.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let pages = pages.clone();
                async move { Ok::<_, Infallible>(answer(request, &pages).await) }
            });
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = served.await {
                tracing::debug!(%error, "an admin connection ended");
            }
            drop(place);
        });
    }
}

/// Who may ask for more than figures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Admins {
    /// Whoever reaches the address: it is of this machine alone.
    Anybody,
    /// Who shows this token (`Authorization: Bearer TOKEN`).
    Token(String),
    /// Nobody: the address can be reached from elsewhere, and there is no token.
    Nobody,
}

impl Admins {
    fn refuse(&self, request: &Request<Incoming>) -> Option<Answer> {
        let shown = request.headers().get(header::AUTHORIZATION);
        let shown = shown.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        match self {
            Self::Anybody => None,
            Self::Token(token) if shown.is_some_and(|shown| is_same(shown, token.as_bytes())) => {
                None
            }
            Self::Token(_) => Some(text(
                StatusCode::UNAUTHORIZED,
                "the token is not this one\n",
            )),
            Self::Nobody => Some(text(
                StatusCode::FORBIDDEN,
                "an admin address that others reach needs --admin-token-file\n",
            )),
        }
    }
}

/// A page, or a file.
pub(crate) type Answer = Response<BoxBody<Bytes, Infallible>>;

async fn answer(request: Request<Incoming>, pages: &Pages) -> Answer {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    match request.uri().path() {
        "/metrics" if is_read => text(
            StatusCode::OK,
            metrics::text(&pages.store, &pages.connections, &pages.windows),
        ),
        "/health" if is_read => text(StatusCode::OK, "ok\n"),
        "/ready" if is_read && pages.shutdown.is_cancelled() => {
            text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
        }
        "/ready" if is_read => text(StatusCode::OK, "ready\n"),
        _ => match pages.admins.refuse(&request) {
            Some(refused) => refused,
            None => blocks::answer(&request, &pages.store).await,
        },
    }
}

pub(crate) fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(text.into()).boxed());
    *response.status_mut() = status;
    let plain = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
