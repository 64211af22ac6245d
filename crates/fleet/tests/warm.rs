//! A second run takes up what the first one knew.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, for tests only"
)]

use onefill_engine::{Config, Events};
use onefill_fleet::{Discovery, FleetConfig, FleetHandle, ReplicaSpec};
use onefill_kv::KeySeed;
use serde_json::Value;
use std::{path::Path, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// An engine that keeps few old batches: who comes late can't have them all.
struct Engine {
    address: String,
    _stop: DropGuard,
}

impl Engine {
    async fn start() -> Self {
        let stop = CancellationToken::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let mut events = Events::at("tcp://127.0.0.1:0", Some("tcp://127.0.0.1:0"));
        events.buffer_batches = 4;
        let config = Config {
            events: Some(events),
            ..Config::default()
        };
        tokio::spawn(onefill_engine::run(listener, config, stop.clone()));
        Self {
            address,
            _stop: stop.drop_guard(),
        }
    }

    /// Prompts of two blocks each that nobody asked before.
    async fn compute(&self, prompts: std::ops::Range<u32>) {
        for number in prompts {
            let tokens: Vec<u32> = (0..40).map(|at| number * 100 + at + 1).collect();
            let body = format!(r#"{{"prompt":{tokens:?},"max_tokens":1}}"#);
            let request = format!(
                "POST /v1/completions HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let mut stream = TcpStream::connect(&self.address).await.expect("connects");
            stream.write_all(request.as_bytes()).await.expect("sent");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("answered");
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    }
}

/// A run of a fleet.
struct Run {
    fleet: FleetHandle,
    _stop: DropGuard,
}

impl Run {
    fn start(engine: &Engine, snapshot: Option<&Path>, seed: u64) -> Self {
        let stop = CancellationToken::new();
        let spec = ReplicaSpec {
            url: format!("http://{}", engine.address),
            ..ReplicaSpec::default()
        };
        let config = FleetConfig {
            discovery: Discovery::Static(vec![spec]),
            seed: KeySeed(seed),
            events: true,
            index_memory_bytes: 1 << 20,
            load_interval_max: Duration::from_millis(50),
            probe_timeout: Duration::from_secs(5),
            snapshot: snapshot.map(Path::to_path_buf),
        };
        Self {
            fleet: onefill_fleet::start(config, stop.clone()),
            _stop: stop.drop_guard(),
        }
    }

    fn replica(&self) -> Value {
        self.fleet.debug()["replicas"][0].clone()
    }

    /// Waits until the replica is known in this way, with so many blocks.
    async fn until(&self, knowledge: &str, blocks: u64) -> Value {
        let watching = async {
            loop {
                let replica = self.replica();
                if replica["knowledge"] == knowledge && replica["held_blocks"] == blocks {
                    return replica;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let seen = tokio::time::timeout(Duration::from_secs(20), watching).await;
        seen.unwrap_or_else(|_| panic!("{knowledge}, {blocks} blocks: {}", self.replica()))
    }
}

/// A first run that has seen 20 prompts, written down.
async fn first_run(engine: &Engine, path: &Path) {
    let run = Run::start(engine, Some(path), 7);
    run.until("exact", 0).await;
    engine.compute(0..20).await;
    run.until("exact", 40).await;
    run.fleet.save().expect("saved");
}

#[tokio::test]
async fn a_router_that_starts_anew_knows_the_cache_exactly() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index");
    let engine = Engine::start().await;
    first_run(&engine, &path).await;
    engine.compute(20..22).await;
    assert_eq!(onefill_fleet::snapshot_seed(&path), Some(KeySeed(7)));
    Run::start(&engine, Some(&path), 7).until("exact", 44).await;
    // Without it, what was told before the oldest batch at hand is not known.
    Run::start(&engine, None, 7).until("approximate", 8).await;
    // Keys of another seed are of no use.
    let other = Run::start(&engine, Some(&path), 8);
    other.until("approximate", 8).await;
}

#[tokio::test]
async fn what_can_not_be_caught_up_with_begins_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index");
    let engine = Engine::start().await;
    first_run(&engine, &path).await;
    engine.compute(20..30).await;
    let run = Run::start(&engine, Some(&path), 7);
    run.until("approximate", 8).await;
}

#[tokio::test]
async fn another_process_at_the_address_holds_nothing_of_the_last_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index");
    let engine = Engine::start().await;
    first_run(&engine, &path).await;
    let address = engine.address.clone();
    drop(engine);
    // The start of a process is told to a hundredth of a second.
    let engine = loop {
        let stop = CancellationToken::new();
        if let Ok(listener) = TcpListener::bind(&address).await {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let config = Config {
                events: Some(Events::at("tcp://127.0.0.1:0", Some("tcp://127.0.0.1:0"))),
                ..Config::default()
            };
            tokio::spawn(onefill_engine::run(listener, config, stop.clone()));
            break Engine {
                address,
                _stop: stop.drop_guard(),
            };
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let run = Run::start(&engine, Some(&path), 7);
    run.until("exact", 0).await;
    assert_eq!(run.fleet.debug()["index"]["pairs"], 0);
}
