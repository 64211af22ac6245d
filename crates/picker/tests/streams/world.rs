//! A picker in front of one endpoint that answers probes only.

use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use onefill_fleet::{Discovery, FleetConfig, ReplicaSpec};
use onefill_kv::KeySeed;
use onefill_picker::{Config, Listeners, Timeouts};
use onefill_schedule::Policy;
use std::{convert::Infallible, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::{CancellationToken, DropGuard};

pub struct World {
    pub main: SocketAddr,
    pub endpoint: String,
    pub shutdown: CancellationToken,
    pages: SocketAddr,
    _end: DropGuard,
}

async fn bound() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    (listener, address)
}

async fn endpoint(listener: TcpListener) {
    let answer = |request: Request<Incoming>| async move {
        let body = match request.uri().path() {
            "/v1/models" => r#"{"data":[{"id":"m"}]}"#,
            _ => "",
        };
        Ok::<_, Infallible>(Response::new(Full::new(bytes::Bytes::from_static(
            body.as_bytes(),
        ))))
    };
    while let Ok((tcp, _)) = listener.accept().await {
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(tcp), service_fn(answer)));
    }
}

impl World {
    pub async fn start() -> Self {
        let (main, main_address) = bound().await;
        let (metrics, pages) = bound().await;
        let (listener, endpoint_address) = bound().await;
        tokio::spawn(endpoint(listener));
        let end = CancellationToken::new();
        let fleet = onefill_fleet::start(
            FleetConfig {
                discovery: Discovery::Static(vec![ReplicaSpec {
                    url: format!("http://{endpoint_address}"),
                    ..ReplicaSpec::default()
                }]),
                seed: KeySeed(7),
                events: false,
                index_memory_bytes: 1 << 20,
                load_interval_max: Duration::from_secs(5),
                probe_timeout: Duration::from_secs(5),
                snapshot: None,
            },
            end.clone(),
        );
        let config = Config {
            timeouts: Timeouts {
                drain: Duration::from_secs(60),
                ..Timeouts::default()
            },
            ..Config::new(Policy::Kv, KeySeed(7))
        };
        let listeners = Listeners {
            main,
            tls: None,
            health: None,
            metrics: Some(metrics),
        };
        let shutdown = CancellationToken::new();
        tokio::spawn(onefill_picker::run(
            listeners,
            config,
            fleet,
            shutdown.clone(),
        ));
        let world = Self {
            main: main_address,
            endpoint: endpoint_address.to_string(),
            shutdown,
            pages,
            _end: end.drop_guard(),
        };
        while !world.page("/ready").await.contains("200 OK") {
            tokio::task::yield_now().await;
        }
        world
    }

    async fn page(&self, path: &str) -> String {
        let mut tcp = TcpStream::connect(self.pages).await.expect("pages");
        let asked = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        tcp.write_all(asked.as_bytes()).await.expect("asked");
        let mut page = String::new();
        tcp.read_to_string(&mut page).await.expect("a page");
        page
    }

    async fn gauge(&self, name: &str) -> usize {
        let page = self.page("/metrics").await;
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        line.expect("the gauge").trim().parse().expect("a number")
    }

    /// Waits until so many streams go by.
    pub async fn streams(&self, count: usize) {
        while self.gauge("llm_d_epp_extproc_streams_inflight ").await != count {
            tokio::task::yield_now().await;
        }
    }

    /// Requests that the picker has in flight.
    pub async fn in_flight(&self) -> usize {
        self.gauge("onefill_picker_in_flight ").await
    }
}
