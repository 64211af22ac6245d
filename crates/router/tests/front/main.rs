//! The router between raw-byte clients and fake replicas, on loopback.
#![expect(
    clippy::expect_used,
    missing_docs,
    reason = "helpers of tests, for tests only"
)]

mod fake;
mod http;
mod limits;
mod pages;
mod passing;
mod retry;
mod secure;
mod stopping;
mod tokens;

use fake::{Fake, Seen};
use onefill_fleet::{Discovery, FleetConfig, ReplicaSpec};
use onefill_kv::KeySeed;
use onefill_router::{Config, Listeners, RunError};
use onefill_schedule::Policy;
use std::{net::SocketAddr, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub const CHAT: &str = "/v1/chat/completions";
pub const HELLO: &[u8] =
    br#"{"model":"tiny",  "messages":[{"role":"user","content":"hi \u00e9"}] }"#;

/// A running router.
pub struct Router {
    pub main: SocketAddr,
    pub admin: SocketAddr,
    pub shutdown: CancellationToken,
    pub running: JoinHandle<Result<(), RunError>>,
    _fleet: tokio_util::sync::DropGuard,
}

pub fn config() -> Config {
    Config::new(Policy::Prefix, KeySeed(7))
}

pub fn spec(fake: &Fake) -> ReplicaSpec {
    ReplicaSpec {
        url: fake.url.clone(),
        ..ReplicaSpec::default()
    }
}

impl Router {
    /// A router in front of these replicas, which waits for nothing.
    pub async fn cold(config: Config, replicas: Vec<ReplicaSpec>) -> Self {
        let main = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let admin = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addresses = (
            main.local_addr().expect("one"),
            admin.local_addr().expect("one"),
        );
        let (shutdown, end) = (CancellationToken::new(), CancellationToken::new());
        let fleet = onefill_fleet::start(
            FleetConfig {
                discovery: Discovery::Static(replicas),
                seed: config.seed,
                events: true,
                index_memory_bytes: 1 << 20,
                load_interval_max: Duration::from_millis(200),
                probe_timeout: Duration::from_secs(2),
                snapshot: None,
            },
            end.clone(),
        );
        let listeners = Listeners {
            main,
            admin: Some(admin),
        };
        let running = tokio::spawn(onefill_router::run(
            listeners,
            config,
            fleet,
            shutdown.clone(),
        ));
        Self {
            main: addresses.0,
            admin: addresses.1,
            shutdown,
            running,
            _fleet: end.drop_guard(),
        }
    }

    /// A router whose replicas are all up.
    pub async fn start(config: Config, fakes: &[&Fake]) -> Self {
        let router = Self::cold(config, fakes.iter().map(|fake| spec(fake)).collect()).await;
        router.until_up(fakes.len()).await;
        router
    }

    /// Asks until so many replicas are up.
    pub async fn until_up(&self, count: usize) {
        let asking = async {
            let mut client = http::connect(self.admin).await;
            loop {
                let page = client.get("/debug/fleet").await.json();
                let replicas = page["replicas"].as_array().expect("replicas");
                if replicas.iter().filter(|one| one["health"] == "up").count() == count {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), asking)
            .await
            .expect("replicas up");
    }
}

/// Answers like a replica that had half of the prompt cached.
pub fn answer(_seen: &Seen) -> fake::Act {
    fake::ok(
        r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}}}"#,
    )
}

/// All that a test may take.
pub async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work)
        .await
        .expect("in time")
}
