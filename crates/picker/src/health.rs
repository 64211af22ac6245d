//! gRPC's health protocol: SERVING while requests would be picked for, by service name.

use crate::{
    app::App,
    proto::{HealthCheckRequest, HealthCheckResponse},
};
use std::{convert::Infallible, future::Ready, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Response, Status,
    server::{ServerStreamingService, UnaryService},
};

const SERVING: i32 = 1;
const NOT_SERVING: i32 = 2;
/// How often a watcher's answer is looked at again.
const WATCH_EVERY: Duration = Duration::from_millis(100);

/// Whether a service is served. `liveness` asks for the process only.
fn status(app: &App, service: &str) -> HealthCheckResponse {
    let serving = service == "liveness" || app.is_ready();
    HealthCheckResponse {
        status: if serving { SERVING } else { NOT_SERVING },
    }
}

/// `Check`: once.
pub(crate) struct Check(pub(crate) Arc<App>);

impl UnaryService<HealthCheckRequest> for Check {
    type Response = HealthCheckResponse;
    type Future = Ready<Result<Response<HealthCheckResponse>, Status>>;

    fn call(&mut self, request: Request<HealthCheckRequest>) -> Self::Future {
        let answer = status(&self.0, &request.into_inner().service);
        std::future::ready(Ok(Response::new(answer)))
    }
}

/// `Watch`: now, and whenever it changes.
pub(crate) struct Watch(pub(crate) Arc<App>);

impl ServerStreamingService<HealthCheckRequest> for Watch {
    type Response = HealthCheckResponse;
    type ResponseStream = ReceiverStream<Result<HealthCheckResponse, Status>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<HealthCheckRequest>) -> Self::Future {
        let (tell, told) = mpsc::channel(1);
        let (app, service) = (Arc::clone(&self.0), request.into_inner().service);
        tokio::spawn(async move {
            let _gone: Result<Infallible, _> = watch(&app, &service, &tell).await;
        });
        std::future::ready(Ok(Response::new(ReceiverStream::new(told))))
    }
}

type Tell = mpsc::Sender<Result<HealthCheckResponse, Status>>;

async fn watch(
    app: &App,
    service: &str,
    tell: &Tell,
) -> Result<Infallible, mpsc::error::SendError<Result<HealthCheckResponse, Status>>> {
    let mut known = None;
    loop {
        let now = status(app, service);
        if known != Some(now) {
            tell.send(Ok(now)).await?;
            known = Some(now);
        }
        tokio::select! {
            () = tokio::time::sleep(WATCH_EVERY) => {}
            () = tell.closed() => return Err(mpsc::error::SendError(Ok(now))),
        }
    }
}
