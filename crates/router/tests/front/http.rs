//! A client that speaks raw bytes.

use rustls::pki_types::ServerName;
use std::{net::SocketAddr, path::PathBuf, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    /// "status code-of-the-error"; the shape of the error object is checked.
    pub fn error(&self) -> String {
        let body = self.json();
        let error = body["error"].as_object().expect("OpenAI's error object");
        let mut names: Vec<&str> = error.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["code", "message", "param", "type"]);
        format!(
            "{} {}",
            self.status,
            body["error"]["code"].as_str().expect("a code")
        )
    }
}

/// A connection of a client.
pub struct Client<S> {
    pub stream: S,
    buffer: Vec<u8>,
}

pub async fn connect(to: SocketAddr) -> Client<TcpStream> {
    Client::on(TcpStream::connect(to).await.expect("a connection"))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub fn on(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("sent");
        self.stream.flush().await.expect("sent");
    }

    pub async fn post(&mut self, path: &str, headers: &str, body: &[u8]) -> Answer {
        self.send(&request("POST", path, headers, body)).await;
        self.answer().await
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(&request("GET", path, "", b"")).await;
        self.answer().await
    }

    /// The next bytes until they hold `end`.
    pub async fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = find(&self.buffer, end) {
                return self.buffer.drain(..at + end.len()).collect();
            }
            let read = self.stream.read_buf(&mut self.buffer).await.expect("bytes");
            let so_far = String::from_utf8_lossy(&self.buffer);
            assert!(
                read > 0,
                "ended before {:?}: {so_far:?}",
                String::from_utf8_lossy(end)
            );
        }
    }

    pub async fn head(&mut self) -> Answer {
        let head = String::from_utf8(self.until(b"\r\n\r\n").await).expect("ASCII");
        let status = head
            .split(' ')
            .nth(1)
            .expect("a status")
            .parse()
            .expect("a number");
        Answer {
            status,
            head,
            body: Vec::new(),
        }
    }

    pub async fn answer(&mut self) -> Answer {
        let mut answer = self.head().await;
        if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let size = self.until(b"\r\n").await;
                let size = std::str::from_utf8(&size).expect("ASCII").trim();
                let size = usize::from_str_radix(size, 16).expect("a size");
                let chunk = self.exactly(size + 2).await;
                if size == 0 {
                    return answer;
                }
                answer.body.extend_from_slice(&chunk[..size]);
            }
        }
        let length = answer
            .header("content-length")
            .map_or(0, |text| text.parse().expect("a length"));
        answer.body = self.exactly(length).await;
        answer
    }

    async fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            let read = self.stream.read_buf(&mut self.buffer).await.expect("bytes");
            assert!(read > 0, "ended early");
        }
        self.buffer.drain(..count).collect()
    }

    /// True if the router closed the connection.
    pub async fn closed(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.buffer).await, Ok(0) | Err(_))
    }
}

pub fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: router\r\n{headers}content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

pub fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let pairs = head.lines().filter_map(|line| line.split_once(": "));
    pairs
        .into_iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

pub fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn pem(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/tls")
        .join(name)
}

pub fn server_tls() -> Arc<rustls::ServerConfig> {
    onefill_router::tls::server(&pem("server.pem"), &pem("server.key")).expect("TLS")
}

pub fn client_tls() -> Arc<rustls::ClientConfig> {
    onefill_router::tls::client(Some(&pem("ca.pem"))).expect("TLS")
}

pub async fn connect_tls(to: SocketAddr) -> Client<tokio_rustls::client::TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(to).await.expect("a connection");
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = tokio_rustls::TlsConnector::from(client_tls())
        .connect(name, tcp)
        .await;
    Client::on(stream.expect("a handshake"))
}
