//! Clients: chats and completions of several turns, with and without salts; some leave early.

use onefill_kv::{GOLDEN, mix};
use serde_json::{Value, json};
use std::{
    fmt,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// No answer takes longer here.
const PATIENCE: Duration = Duration::from_secs(30);

/// What clients saw.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) whole: u64,
    /// Streams that broke after they had begun: nobody can save them.
    pub(crate) broken: u64,
    /// Clients that left on purpose.
    pub(crate) left: u64,
    pub(crate) kills: u64,
    pub(crate) cuts: u64,
    /// What should not be.
    pub(crate) lost: Vec<String>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.whole += other.whole;
        self.broken += other.broken;
        self.left += other.left;
        self.kills += other.kills;
        self.cuts += other.cuts;
        self.lost.extend(other.lost);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} answered, {} streams broken after they had begun, {} left, {} lost; {} kills, {} feeds cut",
            self.whole,
            self.broken,
            self.left,
            self.lost.len(),
            self.kills,
            self.cuts
        )
    }
}

/// `SplitMix64`.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0) % limit
    }

    pub(crate) fn words(&mut self, count: u64) -> String {
        let word = |_| format!("w{} ", self.below(500));
        (0..count).map(word).collect()
    }
}

/// The text that a quarter of all chats share.
pub(crate) fn system(number: u64) -> String {
    Random(77 + number % 4).words(120)
}

/// A body of turn `turn` of a chat.
pub(crate) fn body(chat: u64, turn: u64, stream: bool) -> (&'static str, Value) {
    let mut random = Random(chat);
    let salt = [None, None, Some("tenant-a"), Some("tenant-b")][(chat % 4) as usize];
    let mut messages = vec![json!({"role": "system", "content": system(chat)})];
    for before in 0..=turn {
        messages.push(json!({"role": "user", "content": random.words(30)}));
        if before < turn {
            messages.push(json!({"role": "assistant", "content": random.words(8)}));
        }
    }
    let mut body = json!({
        "model": "simulated", "max_tokens": 12, "stream": stream, "temperature": 0,
    });
    if let Some(salt) = salt {
        body["cache_salt"] = json!(salt);
    }
    if chat.is_multiple_of(3) {
        let text: Vec<&str> = messages
            .iter()
            .filter_map(|m| m["content"].as_str())
            .collect();
        body["prompt"] = json!(text.concat());
        return ("/v1/completions", body);
    }
    body["messages"] = json!(messages);
    ("/v1/chat/completions", body)
}

/// Goes on until `end`.
pub(crate) async fn chat(door: SocketAddr, seed: u64, end: Instant) -> Tally {
    let mut random = Random(seed);
    let mut tally = Tally::default();
    while Instant::now() < end {
        let chat = random.below(48);
        for turn in 0..1 + random.below(4) {
            let stream = random.below(2) == 0;
            let leaves = random.below(12) == 0;
            let (path, body) = body(chat, turn, stream);
            let asked = timeout(PATIENCE, ask(door, path, &body, leaves));
            match asked.await {
                Ok(Ok(Seen::Whole)) => tally.whole += 1,
                Ok(Ok(Seen::Left)) => tally.left += 1,
                Ok(Ok(Seen::Broken)) if stream => tally.broken += 1,
                Ok(Ok(Seen::Broken)) => tally.lost.push(format!("{path}: broke off")),
                Ok(Ok(Seen::Refused(why))) => {
                    tally.lost.push(format!("{path} stream={stream}: {why}"));
                }
                Ok(Err(error)) => tally.lost.push(format!("{path}: {error}")),
                Err(_) => tally
                    .lost
                    .push(format!("{path}: no answer in {PATIENCE:?}")),
            }
        }
    }
    tally
}

pub(crate) enum Seen {
    Whole,
    Left,
    /// It had begun with 200.
    Broken,
    Refused(String),
}

/// One request on a connection of its own, raw.
async fn ask(door: SocketAddr, path: &str, body: &Value, leaves: bool) -> std::io::Result<Seen> {
    let mut stream = TcpStream::connect(door).await?;
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream
        .write_all(&[head.as_bytes(), body.as_bytes()].concat())
        .await?;
    let mut answer = Vec::new();
    if leaves {
        _ = timeout(Duration::from_millis(20), stream.read_buf(&mut answer)).await;
        return Ok(Seen::Left);
    }
    let read = stream.read_to_end(&mut answer).await;
    let text = String::from_utf8_lossy(&answer);
    let Some((head, rest)) = text.split_once("\r\n\r\n") else {
        return Ok(Seen::Refused(format!("no answer: {read:?} {text}")));
    };
    if !head.starts_with("HTTP/1.1 200") {
        return Ok(Seen::Refused(text.into_owned()));
    }
    let chunked = head.contains("transfer-encoding: chunked");
    let whole = if chunked {
        rest.ends_with("0\r\n\r\n")
    } else {
        rest.ends_with('}')
    };
    Ok(if whole { Seen::Whole } else { Seen::Broken })
}

/// The JSON body of an answer; any status.
pub(crate) async fn json_of(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &Value,
) -> Option<Value> {
    let text = text_of(address, method, path, body).await?;
    let (start, end) = (text.find('{')?, text.rfind('}')?);
    serde_json::from_str(text.get(start..=end)?).ok()
}

/// The body of an answer, chunk heads and all; any status.
pub(crate) async fn text_of(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &Value,
) -> Option<String> {
    let asking = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        let request = [head.as_bytes(), body.as_bytes()].concat();
        stream.write_all(&request).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        let text = String::from_utf8(answer).ok()?;
        Some(text.split_once("\r\n\r\n")?.1.to_owned())
    };
    timeout(PATIENCE, asking).await.ok().flatten()
}
