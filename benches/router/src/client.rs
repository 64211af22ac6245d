//! A client that costs little: HTTP/1.1 on kept connections, answers read to their end.

use crate::conversation::{Conversation, Vocabulary};
use anyhow::{Context, Result, bail, ensure};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Requests before those that count, on each connection.
const WARM_UP: usize = 20;

pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub async fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            read: Vec::with_capacity(64 << 10),
        })
    }

    /// Sends a request; gives the time until its answer was read.
    pub async fn ask(&mut self, request: &[u8]) -> Result<Duration> {
        let start = Instant::now();
        self.stream.write_all(request).await?;
        self.read.clear();
        loop {
            let count = self.stream.read_buf(&mut self.read).await?;
            ensure!(count > 0, "closed before the answer's end");
            if is_whole(&self.read)? {
                return Ok(start.elapsed());
            }
        }
    }
}

/// Whether an answer has been read to its end.
fn is_whole(answer: &[u8]) -> Result<bool> {
    let Some(end) = memchr::memmem::find(answer, b"\r\n\r\n") else {
        return Ok(false);
    };
    let (head, body) = (&answer[..end], &answer[end + 4..]);
    let head = std::str::from_utf8(head)?;
    ensure!(
        head.starts_with("HTTP/1.1 200"),
        "{head}\n{}",
        String::from_utf8_lossy(body)
    );
    for line in head.lines() {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            let length: usize = value.trim().parse().context("content-length")?;
            return Ok(body.len() >= length);
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Ok(body.ends_with(b"0\r\n\r\n"));
        }
    }
    bail!("an answer of unknown length:\n{head}")
}

/// Latencies in microseconds of one request after the other.
pub async fn in_turn(
    vocabulary: &Vocabulary,
    port: u16,
    seed: u64,
    requests: usize,
) -> Result<Vec<f64>> {
    let mut connection = Connection::open(port).await?;
    let mut conversation = Conversation::new(vocabulary, seed);
    let mut latencies = Vec::with_capacity(requests);
    for place in 0..WARM_UP + requests {
        let took = connection.ask(&conversation.request(port)).await?;
        if place >= WARM_UP {
            latencies.push(took.as_secs_f64() * 1e6);
        }
    }
    Ok(latencies)
}

/// What sixteen clients saw.
pub struct Load {
    pub latencies_us: Vec<f64>,
    pub seconds: f64,
}

/// Many connections at once for some time, each with conversations of its own.
pub async fn at_once(
    vocabulary: &Vocabulary,
    port: u16,
    seed: u64,
    connections: usize,
    span: Duration,
) -> Result<Load> {
    let start = Instant::now();
    let client = |mut conversation: Conversation| async move {
        let mut connection = Connection::open(port).await?;
        let mut latencies = Vec::new();
        while start.elapsed() < span {
            let took = connection.ask(&conversation.request(port)).await?;
            latencies.push(took.as_secs_f64() * 1e6);
        }
        anyhow::Ok(latencies)
    };
    let local = tokio::task::LocalSet::new();
    let clients: Vec<_> = (0..connections)
        .map(|number| Conversation::new(vocabulary, seed * 1_000 + number as u64))
        .map(|conversation| local.spawn_local(client(conversation)))
        .collect();
    local.await;
    let mut latencies_us = Vec::new();
    for client in clients {
        latencies_us.extend(client.await??);
    }
    Ok(Load {
        latencies_us,
        seconds: start.elapsed().as_secs_f64(),
    })
}
