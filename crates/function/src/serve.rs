//! The gRPC server: one service with one method.

use crate::{
    answer::answer,
    message::{RunFunctionRequest, RunFunctionResponse},
};
use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::Pin,
    task::{Context, Poll},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status,
    body::Body,
    server::{Grpc, NamedService, UnaryService},
    transport::{Certificate, Identity, Server, ServerTlsConfig, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

/// Largest request: an `LLMInference` and some twenty objects are 100 kB.
const REQUEST_BYTES_MAX: usize = 16 << 20;
const METHOD: &str = "/apiextensions.fn.proto.v1.FunctionRunnerService/RunFunction";

/// How the server shows itself, PEM.
#[derive(Clone)]
pub struct Tls {
    /// Certificate chain.
    pub certificate: Vec<u8>,
    /// Its key.
    pub key: Vec<u8>,
    /// Authority of the certificates that callers must show.
    pub authority: Vec<u8>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("Tls")
    }
}

/// How to serve.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `None`: in plain text.
    pub tls: Option<Tls>,
}

/// Why serving ended.
#[derive(Debug, thiserror::Error)]
#[error("{}", chain(.0))]
pub struct ServeError(#[from] tonic::transport::Error);

/// An error and its causes: tonic's own word alone is "transport error".
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// Serves until `shutdown`; calls in flight may end.
pub async fn run(
    listener: TcpListener,
    config: Config,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let mut server = Server::builder();
    if let Some(tls) = config.tls {
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(tls.certificate, tls.key))
            .client_ca_root(Certificate::from_pem(tls.authority));
        server = server.tls_config(tls)?;
    }
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let serving = server.add_service(Runner);
    serving
        .serve_with_incoming_shutdown(incoming, shutdown.cancelled_owned())
        .await?;
    Ok(())
}

/// The service; it has no state.
#[derive(Clone, Copy, Debug)]
struct Runner;

impl NamedService for Runner {
    const NAME: &'static str = "apiextensions.fn.proto.v1.FunctionRunnerService";
}

type Answering =
    Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send + 'static>>;

impl tonic::codegen::Service<http::Request<Body>> for Runner {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Answering {
        let known = request.uri().path() == METHOD;
        Box::pin(async move {
            if !known {
                return Ok(Status::unimplemented("there is RunFunction of v1").into_http());
            }
            let mut grpc = Grpc::new(ProstCodec::default())
                .max_decoding_message_size(REQUEST_BYTES_MAX)
                .max_encoding_message_size(REQUEST_BYTES_MAX);
            Ok(grpc.unary(Answer, request).await)
        })
    }
}

struct Answer;

impl UnaryService<RunFunctionRequest> for Answer {
    type Response = RunFunctionResponse;
    type Future = Ready<Result<Response<RunFunctionResponse>, Status>>;

    fn call(&mut self, request: Request<RunFunctionRequest>) -> Self::Future {
        ready(Ok(Response::new(answer(request.into_inner()))))
    }
}
