//! A replica of a few lines over raw TCP, so that a test says each byte and each break.

use parking_lot::Mutex;
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::{Notify, mpsc},
    task::JoinSet,
};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub head: String,
    pub body: Vec<u8>,
}

impl Seen {
    /// METHOD and path.
    pub fn line(&self) -> &str {
        self.head.split(" HTTP/").next().unwrap_or("")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        crate::http::header(&self.head, name)
    }
}

/// What the replica does.
pub enum Act {
    /// Answers whole: status, further header lines, body.
    Reply(u16, &'static str, Vec<u8>),
    /// Streams what is sent here, a chunk each, until the sender is gone.
    Stream(mpsc::UnboundedReceiver<&'static str>),
    /// Sends the head of a stream, then breaks off.
    Begin(Option<&'static str>),
    /// Breaks off.
    Break,
    /// Answers nothing.
    Silence,
}

/// In a stream: break off here.
pub const BREAK: &str = "break";

type Script = Arc<dyn Fn(&Seen) -> Act + Send + Sync>;

/// A running fake.
pub struct Fake {
    pub url: String,
    pub seen: Arc<Mutex<Vec<Seen>>>,
    /// Told when a client leaves in the midst of an answer.
    pub left: Arc<Notify>,
    /// Connections so far.
    pub connections: Arc<Mutex<usize>>,
    tasks: JoinSet<()>,
}

pub const MODELS: &str = r#"{"object":"list","data":[{"id":"tiny","object":"model","root":"tiny","parent":null,"max_model_len":4096}]}"#;
const METRICS: &str = "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{engine=\"0\",model_name=\"tiny\"} 0.0\nvllm:num_requests_waiting{engine=\"0\",model_name=\"tiny\"} 0.0\nvllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"100\",engine=\"0\"} 1.0\nprocess_start_time_seconds 1.0\n";

pub fn ok(body: &str) -> Act {
    Act::Reply(
        200,
        "content-type: application/json\r\n",
        body.as_bytes().to_vec(),
    )
}

impl Fake {
    /// Serves what the script says; the fleet's questions are answered as a healthy replica does
    /// unless `models` is empty (then it is down).
    pub async fn start(script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        Self::with_models(MODELS, script).await
    }

    pub async fn with_models(
        models: &'static str,
        script: impl Fn(&Seen) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        Self::on(listener, address, "http", models, Arc::new(script), None)
    }

    /// The same over TLS, by the name of the certificate.
    pub async fn secure(script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let tls = tokio_rustls::TlsAcceptor::from(crate::http::server_tls());
        Self::on(
            listener,
            address,
            "https",
            MODELS,
            Arc::new(script),
            Some(tls),
        )
    }

    fn on(
        listener: TcpListener,
        address: SocketAddr,
        scheme: &str,
        models: &'static str,
        script: Script,
        tls: Option<tokio_rustls::TlsAcceptor>,
    ) -> Self {
        let mut fake = Self {
            url: format!("{scheme}://127.0.0.1:{}", address.port()),
            seen: Arc::default(),
            left: Arc::default(),
            connections: Arc::default(),
            tasks: JoinSet::new(),
        };
        let one = One {
            seen: Arc::clone(&fake.seen),
            left: Arc::clone(&fake.left),
            models,
            script,
        };
        let connections = Arc::clone(&fake.connections);
        fake.tasks.spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let Ok((tcp, _)) = listener.accept().await else {
                    return;
                };
                *connections.lock() += 1;
                let (one, tls) = (one.clone(), tls.clone());
                open.spawn(async move {
                    match tls {
                        None => one.serve(tcp).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(tcp).await {
                                one.serve(stream).await;
                            }
                        }
                    }
                });
            }
        });
        fake
    }

    /// Bodies of what clients sent, without the fleet's own questions.
    pub fn bodies(&self) -> Vec<Vec<u8>> {
        self.seen
            .lock()
            .iter()
            .map(|seen| seen.body.clone())
            .collect()
    }

    pub fn last(&self) -> Seen {
        self.seen.lock().last().cloned().expect("a request")
    }
}

#[derive(Clone)]
struct One {
    seen: Arc<Mutex<Vec<Seen>>>,
    left: Arc<Notify>,
    models: &'static str,
    script: Script,
}

impl One {
    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(self, mut stream: S) {
        let mut buffer = Vec::new();
        while let Some(seen) = read_request(&mut stream, &mut buffer).await {
            let act = match seen.line() {
                "GET /health" => Act::Reply(200, "", Vec::new()),
                "GET /v1/models" => ok(self.models),
                "GET /metrics" => Act::Reply(200, "", METRICS.into()),
                "GET /kv_event_sources" => Act::Reply(404, "", Vec::new()),
                _ => {
                    self.seen.lock().push(seen.clone());
                    (self.script)(&seen)
                }
            };
            if self.act(act, &mut stream).await.is_none() {
                return;
            }
        }
    }

    /// `None`: the connection is over.
    async fn act<S: AsyncRead + AsyncWrite + Unpin>(&self, act: Act, stream: &mut S) -> Option<()> {
        const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        match act {
            Act::Break => None,
            Act::Reply(status, headers, body) => {
                let length = body.len();
                let head =
                    format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n");
                stream
                    .write_all(&[head.as_bytes(), &body].concat())
                    .await
                    .ok()
            }
            Act::Begin(piece) => {
                let piece = piece.map_or_else(String::new, chunk);
                stream
                    .write_all(format!("{STREAM}{piece}").as_bytes())
                    .await
                    .ok()?;
                stream.flush().await.ok()?;
                None
            }
            Act::Silence => {
                self.until_left(stream).await;
                None
            }
            Act::Stream(mut pieces) => {
                stream.write_all(STREAM.as_bytes()).await.ok()?;
                loop {
                    tokio::select! {
                        piece = pieces.recv() => match piece {
                            Some(BREAK) => return None,
                            Some(piece) => stream.write_all(chunk(piece).as_bytes()).await.ok()?,
                            None => return stream.write_all(b"0\r\n\r\n").await.ok(),
                        },
                        () = self.until_left(stream) => return None,
                    }
                }
            }
        }
    }

    async fn until_left<S: AsyncRead + Unpin>(&self, stream: &mut S) {
        let mut byte = [0; 1];
        if !matches!(stream.read(&mut byte).await, Ok(1)) {
            self.left.notify_one();
        }
    }
}

fn chunk(piece: &str) -> String {
    format!("{:x}\r\n{piece}\r\n", piece.len())
}

async fn read_request<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> Option<Seen> {
    let head_ends = loop {
        if let Some(at) = crate::http::find(buffer, b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(buffer[..head_ends].to_vec()).expect("a head in ASCII");
    let length: usize = crate::http::header(&head, "content-length")
        .map_or(0, |text| text.parse().expect("a length"));
    while buffer.len() < head_ends + length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let body = buffer[head_ends..head_ends + length].to_vec();
    buffer.drain(..head_ends + length);
    Some(Seen { head, body })
}
