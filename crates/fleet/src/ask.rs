//! Questions to a replica over HTTP: is it well, what does it serve, where are its events.

use crate::ServedModel;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::{
    client::legacy::{Client, ResponseFuture, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value as Json;
use std::time::Duration;

/// Longest answer read: vLLM's metrics with many models stay under 1 MB.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Asks over connections that are kept.
pub(crate) type Http = Client<HttpConnector, Full<Bytes>>;

/// A client without a connection yet.
pub(crate) fn http() -> Http {
    Client::builder(TokioExecutor::new()).build_http()
}

/// Asks one replica.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    client: Http,
    url: String,
    timeout: Duration,
}

/// An event feed as `/kv_event_sources` tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct EventSource {
    pub(crate) rank: u32,
    pub(crate) events: String,
    pub(crate) replay: Option<String>,
}

impl Asker {
    pub(crate) fn new(client: Http, url: &str, timeout: Duration) -> Self {
        Self {
            client,
            url: url.to_owned(),
            timeout,
        }
    }

    /// The body of GET `path`; `None` unless the answer is 200 within the time-out.
    pub(crate) async fn get(&self, path: &str) -> Option<Bytes> {
        let url = format!("{}{path}", self.url).parse().ok()?;
        self.answer(self.client.get(url)).await
    }

    async fn answer(&self, asking: ResponseFuture) -> Option<Bytes> {
        let answering = async {
            let answer = asking.await.ok()?;
            let ok = answer.status() == http::StatusCode::OK;
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
            let body = body.collect().await.ok()?;
            ok.then(|| body.to_bytes())
        };
        tokio::time::timeout(self.timeout, answering)
            .await
            .ok()
            .flatten()
    }

    /// The answer to a JSON body posted to `path`; `None` unless it is 200 within the time-out.
    pub(crate) async fn post(&self, path: &str, body: Bytes) -> Option<Bytes> {
        let request = http::Request::post(format!("{}{path}", self.url))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .ok()?;
        self.answer(self.client.request(request)).await
    }

    async fn json(&self, path: &str) -> Option<Json> {
        serde_json::from_slice(&self.get(path).await?).ok()
    }

    /// `/v1/models`.
    pub(crate) async fn models(&self) -> Option<Vec<ServedModel>> {
        let answer = self.json("/v1/models").await?;
        let text = |model: &Json, name: &str| model[name].as_str().map(str::to_owned);
        let models = answer["data"].as_array()?.iter();
        let read = |model: &Json| {
            Some(ServedModel {
                id: text(model, "id")?,
                lora_of: text(model, "parent"),
                root: text(model, "root"),
                max_model_len: model["max_model_len"]
                    .as_u64()
                    .and_then(|length| length.try_into().ok()),
            })
        };
        Some(models.filter_map(read).collect())
    }

    /// `/kv_event_sources`, by rank; empty where the replica publishes none or is too old to tell.
    pub(crate) async fn event_sources(&self) -> Vec<EventSource> {
        let Some(Json::Object(answer)) = self.json("/kv_event_sources").await else {
            return Vec::new();
        };
        let host = host_of(&self.url);
        let read = |(rank, source): (&String, &Json)| {
            let enabled = source["enable_kv_cache_events"].as_bool() == Some(true);
            let address = |name: &str| source[name].as_str().map(|text| reachable(text, host));
            Some(EventSource {
                rank: rank.parse().ok()?,
                events: address("endpoint").filter(|_| enabled)?,
                replay: address("replay_endpoint"),
            })
        };
        let mut sources: Vec<EventSource> = answer.iter().filter_map(read).collect();
        sources.sort_by_key(|source| source.rank);
        sources
    }
}

/// `http://HOST:PORT` -> `HOST`, brackets of IPv6 kept.
fn host_of(url: &str) -> &str {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or(authority);
    authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host)
}

/// An address that a replica binds, as it is reached from here.
fn reachable(endpoint: &str, host: &str) -> String {
    let Some((scheme, rest)) = endpoint.split_once("://") else {
        return endpoint.to_owned();
    };
    match rest.rsplit_once(':') {
        Some(("*" | "0.0.0.0" | "[::]" | "::", port)) => format!("{scheme}://{host}:{port}"),
        _ => endpoint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bound_addresses_are_reached_at_the_replicas_host() {
        assert_eq!(host_of("http://10.0.0.1:8000"), "10.0.0.1");
        assert_eq!(host_of("http://[::1]:8000/x"), "[::1]");
        assert_eq!(reachable("tcp://*:5557", "10.0.0.1"), "tcp://10.0.0.1:5557");
        assert_eq!(reachable("tcp://0.0.0.0:1", "h"), "tcp://h:1");
        assert_eq!(reachable("tcp://10.1.1.1:1", "h"), "tcp://10.1.1.1:1");
    }
}
