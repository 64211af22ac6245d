//! The address for people and monitoring: `/metrics`, `/health`, `/ready`.

use crate::{metrics, serve::Connections, store::Store};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
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
                let response = answer(&request, &pages);
                async move { Ok::<_, Infallible>(response) }
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

fn answer(request: &Request<Incoming>, pages: &Pages) -> Response<Full<Bytes>> {
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => (
            StatusCode::OK,
            metrics::text(&pages.store, &pages.connections),
        ),
        (&Method::GET | &Method::HEAD, "/health") => (StatusCode::OK, "ok\n".to_owned()),
        (&Method::GET | &Method::HEAD, "/ready") if pages.shutdown.is_cancelled() => {
            (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned())
        }
        (&Method::GET | &Method::HEAD, "/ready") => (StatusCode::OK, "ready\n".to_owned()),
        _ => (
            StatusCode::NOT_FOUND,
            "there are /metrics, /health, /ready\n".to_owned(),
        ),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let plain = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
