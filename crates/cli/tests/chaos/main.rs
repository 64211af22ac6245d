//! Mixed load while replicas are killed and come back, feeds are cut and clients leave.
//!
//! What must hold: no request is lost that a live replica could serve; memory and file descriptors
//! stay flat; at the end the index is each replica's own truth. `ONEFILL_CHAOS_SECONDS` (20) and
//! `ONEFILL_CHAOS_SEED` (1) choose how long and what; the real programs run, on loopback.
#![expect(clippy::expect_used, clippy::panic, reason = "a test")]

mod client;
mod fleet;
mod monkey;
mod programs;
mod truth;

use client::Tally;
use fleet::Fleet;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// Clients at work all the time.
const CLIENTS: u64 = 12;
/// Bytes by which the router's memory may differ between two quiet moments.
const MEMORY_SLACK_BYTES: u64 = 48 << 20;
/// File descriptors by which it may.
const FILES_SLACK: usize = 24;

fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect(name))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_that_a_live_replica_could_serve() {
    let seconds = number("ONEFILL_CHAOS_SECONDS", 20);
    let seed = number("ONEFILL_CHAOS_SEED", 1);
    let fleet = Arc::new(Fleet::start().await);
    // A first wave makes pools and memos grow to their size.
    let mut tally = wave(&fleet, seed, Duration::from_secs(seconds / 5 + 2), false).await;
    fleet.quiet().await;
    let before = fleet.router_size();
    tally.add(wave(&fleet, seed + 1, Duration::from_secs(seconds), true).await);
    fleet.heal().await;
    tally.add(
        wave(
            &fleet,
            seed + 2,
            Duration::from_secs(seconds / 10 + 2),
            false,
        )
        .await,
    );
    fleet.quiet().await;
    let after = fleet.router_size();
    println!("{tally}");
    println!(
        "memory {} -> {} KiB",
        before.memory_bytes >> 10,
        after.memory_bytes >> 10
    );
    println!("file descriptors {} -> {}", before.files, after.files);
    assert_eq!(tally.lost, Vec::<String>::new(), "requests were lost");
    assert!(
        tally.whole > seconds * 10,
        "too few requests to show anything: {tally}"
    );
    assert!(
        tally.left > 0 && tally.kills > 0 && tally.cuts > 0,
        "{tally}"
    );
    assert!(
        after.memory_bytes <= before.memory_bytes + MEMORY_SLACK_BYTES,
        "memory grew"
    );
    assert!(
        after.files <= before.files + FILES_SLACK,
        "file descriptors grew"
    );
    let compared = truth::compare(&fleet, seed).await;
    println!("index: {compared} prompts on each replica are as the replica says");
}

/// Clients for some time, and who disturbs them.
async fn wave(fleet: &Arc<Fleet>, seed: u64, span: Duration, disturbed: bool) -> Tally {
    let end = Instant::now() + span;
    let stop = CancellationToken::new();
    let monkey = disturbed.then(|| {
        let (fleet, stop) = (Arc::clone(fleet), stop.clone());
        tokio::spawn(async move { monkey::disturb(&fleet, seed, stop).await })
    });
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let fleet = Arc::clone(fleet);
        clients.push(tokio::spawn(async move {
            client::chat(fleet.door, seed * 1_000 + number, end).await
        }));
    }
    let mut tally = Tally::default();
    for client in clients {
        tally.add(client.await.expect("a client"));
    }
    stop.cancel();
    if let Some(monkey) = monkey {
        let done = monkey.await.expect("the monkey");
        (tally.kills, tally.cuts) = (done.kills, done.cuts);
    }
    tally
}
