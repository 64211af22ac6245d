//! A client of one request a connection.

use crate::Running;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Chunks put together.
    pub body: String,
    /// Whether all of it came.
    pub whole: bool,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// Data of server-sent events.
    pub fn events(&self) -> Vec<Value> {
        let data = self
            .body
            .lines()
            .filter_map(|line| line.strip_prefix("data: "));
        let json = data.filter(|data| *data != "[DONE]");
        json.map(|data| serde_json::from_str(data).expect("JSON"))
            .collect()
    }
}

impl Running {
    pub async fn open(&self, method: &str, path: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.expect("connects");
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: replica\r\nconnection: close\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.expect("sends");
        stream
    }

    pub async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let mut stream = self.open(method, path, body).await;
        let mut bytes = Vec::new();
        // A connection that breaks may end with a reset.
        _ = stream.read_to_end(&mut bytes).await;
        parse(&String::from_utf8(bytes).expect("text"))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, &body.to_string()).await
    }

    /// A completion of `/v1/completions` over token ids.
    pub async fn complete(&self, prompt: &[u32], tokens: u32) -> Value {
        let body = serde_json::json!({"prompt": prompt, "max_tokens": tokens, "ignore_eos": true});
        let answer = self.post("/v1/completions", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// A figure of `/metrics`.
    pub async fn figure(&self, name: &str) -> f64 {
        let page = self.get("/metrics").await.body;
        let line = page.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.rsplit(' ').next());
        value.expect("the figure").parse().expect("a number")
    }
}

/// Cached tokens as an answer's usage tells them.
pub fn cached(answer: &Value) -> u64 {
    answer["usage"]["prompt_tokens_details"]["cached_tokens"]
        .as_u64()
        .expect("cached tokens")
}

fn parse(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let status = head.get(9..12).and_then(|status| status.parse().ok());
    let (body, whole) = if head.contains("transfer-encoding: chunked") {
        dechunk(body)
    } else {
        (body.to_owned(), status.is_some())
    };
    Answer {
        status: status.unwrap_or(0),
        body,
        whole,
    }
}

fn dechunk(mut rest: &str) -> (String, bool) {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a size");
        if size == 0 {
            return (body, true);
        }
        let Some(chunk) = after.get(..size) else {
            return (body, false);
        };
        body.push_str(chunk);
        rest = after.get(size + 2..).unwrap_or_default();
    }
    (body, false)
}
