//! Serves one connection: HTTP/1.1, as vLLM's server does.

use crate::{
    answer::{Broken, Writer},
    asked,
    body::{AnswerBody, InFlight},
    pages,
    refusal::Refusal,
    replica::Replica,
};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use onefill_prompt::Door;
use std::sync::Arc;
use tokio::{net::TcpStream, time::Instant};
use tokio_util::sync::CancellationToken;

/// Largest body read.
const BODY_BYTES_MAX: usize = 64 << 20;

pub(crate) type Answer = Response<AnswerBody>;

/// Serves a connection to its end, or until `shutdown`.
pub(crate) async fn connection(replica: Arc<Replica>, tcp: TcpStream, shutdown: CancellationToken) {
    if replica.faults().refuses(Instant::now()) {
        return; // closed, as if nobody listened
    }
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, "connection can't be set to send at once");
    }
    let service = service_fn(|request| answer(Arc::clone(&replica), request));
    let serving = http1::Builder::new().serve_connection(TokioIo::new(tcp), service);
    if let Some(Err(error)) = shutdown.run_until_cancelled(serving).await {
        tracing::debug!(%error, "connection broke");
    }
}

async fn answer(replica: Arc<Replica>, request: Request<Incoming>) -> Result<Answer, Broken> {
    let door = match *request.method() {
        Method::POST => Door::of(request.uri().path()),
        _ => Door::Other,
    };
    let unavailable = replica.faults().is_unavailable(Instant::now());
    if unavailable && request.uri().path() != "/fault" {
        return Ok(refuse(&Refusal::ordered(503)));
    }
    if door == Door::Other {
        return Ok(page(&replica, request)
            .await
            .unwrap_or_else(|no| refuse(&no)));
    }
    if let Some(status) = replica.faults().next_error() {
        return Ok(refuse(&Refusal::ordered(status)));
    }
    let in_flight = InFlight::new(&replica);
    let job = match read(request).await {
        Ok(body) => asked::read(&replica, door, &body),
        Err(no) => Err(no),
    };
    let job = match job {
        Ok(job) => job,
        Err(no) => return Ok(refuse(&no)),
    };
    let stream = job.wanted.stream && door != Door::Embeddings;
    let writer = Writer::new(&replica, job);
    if stream {
        let body = AnswerBody::stream(writer, in_flight);
        return Ok(of(StatusCode::OK, "text/event-stream; charset=utf-8", body));
    }
    let whole = writer.whole().await?;
    Ok(ready(StatusCode::OK, "application/json", whole))
}

async fn page(replica: &Arc<Replica>, request: Request<Incoming>) -> Result<Answer, Refusal> {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let body = read(request).await?;
    pages::page(replica, &method, (uri.path(), uri.query()), &body)
}

async fn read(request: Request<Incoming>) -> Result<Bytes, Refusal> {
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
    let body = body.await.map_err(|_| Refusal::too_large())?;
    Ok(body.to_bytes())
}

fn refuse(refusal: &Refusal) -> Answer {
    json(refusal.status, &refusal.json())
}

pub(crate) fn json(status: StatusCode, json: &serde_json::Value) -> Answer {
    ready(status, "application/json", json.to_string())
}

pub(crate) fn ready(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    of(status, kind, AnswerBody::Whole(Some(body.into())))
}

fn of(status: StatusCode, kind: &'static str, body: AnswerBody) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
