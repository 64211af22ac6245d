//! Replicas that have nothing to do.

use onefill_engine::{Config, Events};
use onefill_fleet::{Discovery, FleetConfig, ReplicaSpec};
use onefill_kv::{KeySeed, Knowledge};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Its load need not be read again for a minute, but that it is known exactly is said at once.
#[tokio::test]
async fn an_idle_replica_is_soon_known_exactly() {
    let shutdown = CancellationToken::new();
    let _stop = shutdown.clone().drop_guard();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let config = Config {
        events: Some(Events::at("tcp://127.0.0.1:0", Some("tcp://127.0.0.1:0"))),
        ..Config::default()
    };
    tokio::spawn(onefill_engine::run(listener, config, shutdown.clone()));
    let spec = ReplicaSpec {
        url,
        ..ReplicaSpec::default()
    };
    let fleet = onefill_fleet::start(
        FleetConfig {
            discovery: Discovery::Static(vec![spec]),
            seed: KeySeed(1),
            events: true,
            index_memory_bytes: 1 << 20,
            load_interval_max: Duration::from_secs(60),
            probe_timeout: Duration::from_secs(5),
            snapshot: None,
        },
        shutdown,
    );
    let known = async {
        let is_exact = || {
            let view = fleet.view();
            let exact = |knowledge| knowledge == Knowledge::Exact;
            view.replicas
                .iter()
                .any(|one| exact(one.status().knowledge))
        };
        while !is_exact() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), known)
        .await
        .expect("known exactly");
}
