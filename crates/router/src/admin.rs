//! The router's own pages: health, readiness, metrics, drain.

use crate::{
    app::App,
    candidates,
    error::Cause,
    reply::{self, Reply},
};
use http::{Method, StatusCode};
use onefill_fleet::Health;
use serde_json::json;
use std::sync::atomic::Ordering::Relaxed;

/// The process lives.
pub(crate) fn health() -> Reply {
    reply::text(StatusCode::OK, "ok\n")
}

/// Whether requests would be served: a replica is up, and the router is not about to stop.
pub(crate) fn ready(app: &App) -> Reply {
    let up = |member: &_| matches!(candidates::health(member), Health::Up);
    if app.stopping.load(Relaxed) {
        reply::text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else if app.roster().members.iter().any(|member| up(member)) {
        reply::text(StatusCode::OK, "ready\n")
    } else {
        reply::text(StatusCode::SERVICE_UNAVAILABLE, "no replica is up\n")
    }
}

/// Prometheus text.
pub(crate) fn metrics(app: &App) -> Reply {
    const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";
    reply::whole(
        StatusCode::OK,
        KIND,
        app.metrics.text() + &app.fleet.prometheus(),
    )
}

/// `POST /debug/drain?replica=URL` takes no new requests there, `DELETE` takes them again.
pub(crate) fn drain(app: &App, method: &Method, query: Option<&str>) -> Result<Reply, Cause> {
    let draining = match *method {
        Method::POST => true,
        Method::DELETE => false,
        _ => return Err(Cause::Method(method.clone())),
    };
    let url = query_value(query, "replica")
        .ok_or_else(|| Cause::BadRequest("say which: ?replica=URL".into()))?;
    let mut drained = 0;
    let roster = app.roster();
    for member in roster
        .members
        .iter()
        .filter(|member| member.replica.url == url)
    {
        member.draining.store(draining, Relaxed);
        drained += 1;
    }
    if drained == 0 {
        return Err(Cause::BadRequest(format!(
            "no replica has the address {url}"
        )));
    }
    tracing::info!(url, draining, "replica's draining was changed");
    Ok(reply::json(
        StatusCode::OK,
        &json!({ "replica": url, "draining": draining }),
    ))
}

/// A value of a query string, as it is written there: addresses and paths need no escapes.
pub(crate) fn query_value<'q>(query: Option<&'q str>, name: &str) -> Option<&'q str> {
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .into_iter()
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}
