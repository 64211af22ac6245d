//! A simulated replica on loopback, asked over raw bytes and heard over ZeroMQ.
#![expect(
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "helpers of tests, for tests only"
)]

mod doors;
mod faults;
mod feed;
mod http;
mod load;
mod pages;

use onefill_engine::{Config, Events};
use std::{net::SocketAddr, time::Duration};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A running replica; stops when dropped.
pub struct Running {
    pub address: SocketAddr,
    _stop: DropGuard,
}

/// Nothing takes time; events on free ports.
pub fn config() -> Config {
    let mut config = Config {
        events: Some(Events::at("tcp://127.0.0.1:0", Some("tcp://127.0.0.1:0"))),
        ..Config::default()
    };
    config.cache.blocks = 64;
    config.cache.block_tokens = 4;
    config
}

pub async fn start(config: Config) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let shutdown = CancellationToken::new();
    let running = onefill_engine::run(listener, config, shutdown.clone());
    tokio::spawn(async move { running.await.expect("runs") });
    Running {
        address,
        _stop: shutdown.drop_guard(),
    }
}

/// All that a test may take.
pub async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work)
        .await
        .expect("in time")
}
