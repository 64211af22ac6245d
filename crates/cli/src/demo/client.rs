//! A client of a router: one chat at a time, streamed.

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value as Json;
use std::time::{Duration, Instant};

/// Longest that one answer may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Keeps connections open.
#[derive(Clone, Debug)]
pub(crate) struct Client(HyperClient<HttpConnector, Full<Bytes>>);

/// An answer that streamed in.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Answered {
    pub(crate) text: String,
    /// From the request to the first piece.
    pub(crate) first: Duration,
    pub(crate) whole: Duration,
    pub(crate) prompt_tokens: usize,
    pub(crate) cached_tokens: usize,
    /// `x-onefill-replica`.
    pub(crate) replica: String,
    /// `x-onefill-reason`.
    pub(crate) reason: String,
}

impl Client {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self(HyperClient::builder(TokioExecutor::new()).build(connector))
    }

    /// The body of an answer 200.
    pub(crate) async fn ask(&self, method: Method, url: &str) -> anyhow::Result<Bytes> {
        let request = Request::builder().method(method).uri(url);
        let asking = async {
            let answer = self.0.request(request.body(Full::default())?).await?;
            let status = answer.status();
            let body = answer.into_body().collect().await?.to_bytes();
            if !status.is_success() {
                bail!("{url} answers {status}");
            }
            Ok(body)
        };
        tokio::time::timeout(PATIENCE, asking).await?
    }

    /// Sends a chat and reads its answer.
    pub(crate) async fn chat(&self, url: &str, body: &Json) -> anyhow::Result<Answered> {
        tokio::time::timeout(PATIENCE, self.stream(url, body))
            .await
            .context("no answer in time")?
    }

    async fn stream(&self, url: &str, body: &Json) -> anyhow::Result<Answered> {
        let began = Instant::now();
        let request = Request::post(format!("{url}/v1/chat/completions"))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body.to_string()))?;
        let answer = self.0.request(request).await?;
        let (head, mut body) = answer.into_parts();
        if !head.status.is_success() {
            let body = body.collect().await?.to_bytes();
            bail!("{}: {}", head.status, String::from_utf8_lossy(&body));
        }
        let mut answered = Answered {
            replica: header(&head.headers, "x-onefill-replica"),
            reason: header(&head.headers, "x-onefill-reason"),
            ..Answered::default()
        };
        let mut unread = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else {
                continue;
            };
            unread.extend_from_slice(&data);
            while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = unread.drain(..=end).collect();
                answered.read(&line, began)?;
            }
        }
        answered.whole = began.elapsed();
        if answered.prompt_tokens == 0 {
            bail!("the answer broke off");
        }
        Ok(answered)
    }
}

impl Answered {
    /// One line of server-sent events.
    fn read(&mut self, line: &[u8], began: Instant) -> anyhow::Result<()> {
        let Some(data) = line.trim_ascii().strip_prefix(b"data: ") else {
            return Ok(());
        };
        if data == b"[DONE]" {
            return Ok(());
        }
        if self.first.is_zero() {
            self.first = began.elapsed();
        }
        let event: Json = serde_json::from_slice(data)?;
        if let Some(text) = event.pointer("/choices/0/delta/content") {
            self.text.push_str(text.as_str().unwrap_or_default());
        }
        if let Some(usage) = event.get("usage").filter(|usage| usage.is_object()) {
            let number = |path: &str| {
                let number = usage.pointer(path).and_then(Json::as_u64);
                number.map_or(0, |number| usize::try_from(number).unwrap_or(0))
            };
            self.prompt_tokens = number("/prompt_tokens");
            self.cached_tokens = number("/prompt_tokens_details/cached_tokens");
        }
        Ok(())
    }
}

fn header(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}
