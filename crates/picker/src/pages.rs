//! Pages for people and monitoring, over HTTP/1.

use crate::app::App;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A request for a page must have come after so long.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves pages until `end`.
pub(crate) async fn serve(listener: TcpListener, app: Arc<App>, end: CancellationToken) {
    while let Some(accepted) = end.run_until_cancelled(listener.accept()).await {
        let Ok((tcp, _peer)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (app, end) = (Arc::clone(&app), end.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let reply = page(&app, &request);
                async { Ok::<_, Infallible>(reply) }
            });
            let serving = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(tcp), service);
            if let Some(Err(error)) = end.run_until_cancelled(serving).await {
                tracing::debug!(%error, "a page was not read");
            }
        });
    }
}

fn page(app: &App, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    match request.uri().path() {
        "/metrics" => {
            let text = app.metrics.text() + &app.fleet.prometheus();
            reply(StatusCode::OK, TEXT, text)
        }
        "/debug/fleet" => {
            let known = app.fleet.debug().to_string();
            reply(StatusCode::OK, "application/json", known)
        }
        "/health" => reply(StatusCode::OK, TEXT, "ok\n"),
        "/ready" if app.is_ready() => reply(StatusCode::OK, TEXT, "ready\n"),
        "/ready" => reply(StatusCode::SERVICE_UNAVAILABLE, TEXT, "not ready\n"),
        _ => reply(StatusCode::NOT_FOUND, TEXT, "no such page\n"),
    }
}

fn reply(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut reply = Response::new(Full::new(text.into()));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}
