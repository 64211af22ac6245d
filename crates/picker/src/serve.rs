//! One connection of Envoy's: HTTP/2, with `ext_proc` and health behind their paths.

use crate::{
    app::App,
    health,
    proto::{HEALTH_CHECK, HEALTH_WATCH, PROCESS, ProcessingRequest, ProcessingResponse},
    stream,
};
use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    future::Ready,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tonic::{
    Status, Streaming,
    body::Body,
    server::{Grpc, StreamingService},
};
use tonic_prost::ProstCodec;

/// What one stream may have on its way before the other side has read it.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// And one connection.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// A proxy that is gone without a word is noticed after so long, twice.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// What a listener offers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    /// Everything.
    Main,
    /// Health only.
    Health,
}

/// Serves a connection until it ends, or `end` lets what is in flight end.
pub(crate) async fn connection<I>(app: Arc<App>, io: I, side: Side, end: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let streams_max = u32::try_from(app.config.limits.streams_max).unwrap_or(u32::MAX);
    let service = service_fn(|request| answer(Arc::clone(&app), side, request));
    let serving = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(streams_max)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .serve_connection(TokioIo::new(io), service);
    tokio::pin!(serving);
    let served = tokio::select! {
        served = &mut serving => served,
        () = end.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a proxy's connection broke");
    }
}

async fn answer(
    app: Arc<App>,
    side: Side,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    Ok(match (request.uri().path(), side) {
        (PROCESS, Side::Main) => {
            let largest = app.config.limits.message_bytes_max;
            let codec = ProstCodec::<ProcessingResponse, ProcessingRequest>::default();
            let mut grpc = Grpc::new(codec).max_decoding_message_size(largest);
            grpc.streaming(Process(app), request).await
        }
        (HEALTH_CHECK, _) => {
            let mut grpc = Grpc::new(ProstCodec::default());
            grpc.unary(health::Check(app), request).await
        }
        (HEALTH_WATCH, _) => {
            let mut grpc = Grpc::new(ProstCodec::default());
            grpc.server_streaming(health::Watch(app), request).await
        }
        _ => Status::unimplemented("no such method").into_http(),
    })
}

/// `ExternalProcessor/Process`.
struct Process(Arc<App>);

impl StreamingService<ProcessingRequest> for Process {
    type Response = ProcessingResponse;
    type ResponseStream = stream::Answers;
    type Future = Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<ProcessingRequest>>) -> Self::Future {
        let app = Arc::clone(&self.0);
        if app.streams.len() >= app.config.limits.streams_max {
            app.metrics.overflowed.inc();
            let full = "too many requests go by already";
            return std::future::ready(Err(Status::resource_exhausted(full)));
        }
        let (out, answers) = stream::answers();
        let driving = stream::drive(Arc::clone(&app), request.into_inner(), out);
        drop(app.streams.spawn(driving));
        std::future::ready(Ok(tonic::Response::new(answers)))
    }
}

/// Counts a connection as long as it lives.
pub(crate) struct Counted(Arc<App>);

impl Counted {
    pub(crate) fn new(app: &Arc<App>) -> Self {
        app.connections.fetch_add(1, Relaxed);
        Self(Arc::clone(app))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}
