//! Requests a second of one simulated replica where nothing takes time, client and replica in one
//! process: `cargo run --profile fast -p onefill-engine --example serve_cost [SECONDS]`.
#![expect(clippy::print_stdout, reason = "a measurement for a person")]

use onefill_engine::{Config, Events};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

const CLIENTS: usize = 32;
/// Words of each prompt: some 500 tokens, of which the first 400 are shared.
const WORDS: usize = 500;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(5), |text| text.parse())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let config = Config {
        events: Some(Events::at("tcp://127.0.0.1:0", Some("tcp://127.0.0.1:0"))),
        ..Config::default()
    };
    tokio::spawn(onefill_engine::run(
        listener,
        config,
        CancellationToken::new(),
    ));
    for stream in [false, true] {
        let done = Arc::new(AtomicU64::new(0));
        let began = Instant::now();
        let clients = (0..CLIENTS).map(|client| {
            let done = Arc::clone(&done);
            let asking = async move {
                let mut tcp = TcpStream::connect(address).await?;
                loop {
                    let number = done.fetch_add(1, Relaxed);
                    ask(&mut tcp, &request(client, number, stream)).await?;
                }
            };
            tokio::spawn(timeout(Duration::from_secs(seconds), asking))
        });
        for client in clients.collect::<Vec<_>>() {
            let ended: Result<std::io::Result<()>, _> = client.await?;
            if let Ok(failed) = ended {
                failed?;
            }
        }
        let rate = done.load(Relaxed) as f64 / began.elapsed().as_secs_f64();
        println!("stream={stream}: {rate:.0} requests/s");
    }
    Ok(())
}

fn request(client: usize, number: u64, stream: bool) -> String {
    let mut words = vec!["abc"; WORDS - 100];
    let own = format!("c{client:02} x{:02}", number % 50);
    words.extend(std::iter::repeat_n(own.as_str(), 50));
    let prompt = words.join(" ");
    let body = format!(
        "{{\"model\":\"simulated\",\"max_tokens\":16,\"ignore_eos\":true,\"stream\":{stream},\
         \"messages\":[{{\"role\":\"user\",\"content\":\"{prompt}\"}}]}}"
    );
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends a request and reads to the end of its answer.
async fn ask(tcp: &mut TcpStream, request: &str) -> std::io::Result<()> {
    tcp.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(16 << 10);
    loop {
        if tcp.read_buf(&mut answer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if answer.ends_with(b"0\r\n\r\n") || is_whole(&answer) {
            return Ok(());
        }
    }
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .and_then(|length| length.parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length)
}
