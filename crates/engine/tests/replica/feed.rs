//! Events as a subscriber hears them, and replays.

use crate::{Running, config, http::cached, start, within};
use bytes::Bytes;
use onefill_events::{Decoder, Event};
use onefill_kv::KeySeed;
use serde_json::{Value, json};
use std::time::Duration;
use zeromq::{DealerSocket, Socket, SocketRecv, SocketSend, SubSocket, ZmqMessage};

/// A batch: its number, and blocks stored (positive), removed (negative), cleared (0).
type Heard = (u64, Vec<i64>);

fn read(message: &ZmqMessage) -> Heard {
    let frames: Vec<&Bytes> = message.iter().collect();
    let [.., topic, seq, payload] = frames.as_slice() else {
        panic!("three frames at least")
    };
    assert_eq!(topic.as_ref(), b"kv");
    let seq = u64::from_be_bytes(seq.as_ref().try_into().expect("eight bytes"));
    let mut events = Vec::new();
    let mut decoder = Decoder::new(KeySeed(1));
    let decoded = decoder.decode(payload, &mut |event| {
        events.push(match event {
            Event::Stored(stored) => stored.blocks.len() as i64,
            Event::Removed(removed) => -(removed.hashes.len() as i64),
            Event::Cleared => 0,
        });
    });
    assert_eq!(decoded.expect("a batch").unknown_events, 0);
    (seq, events)
}

async fn addresses(replica: &Running) -> (String, String) {
    let page = replica.get("/kv_event_sources").await.json();
    let text = |name: &str| page["0"][name].as_str().expect("an address").to_owned();
    (text("endpoint"), text("replay_endpoint"))
}

/// A subscriber who surely hears: asks until a batch comes; gives the number of the last one.
async fn subscribe(replica: &Running) -> (SubSocket, u64) {
    let mut socket = SubSocket::new();
    socket.subscribe("").await.expect("subscribes");
    socket
        .connect(&addresses(replica).await.0)
        .await
        .expect("connects");
    for asked in 0_u64.. {
        // A prompt of its own makes one batch.
        let first = 1000 + u32::try_from(asked).expect("few");
        replica.complete(&[first, 1, 2, 3, 4], 1).await;
        let heard = tokio::time::timeout(Duration::from_millis(50), socket.recv());
        if let Ok(message) = heard.await {
            let mut seq = read(&message.expect("a message")).0;
            while seq < asked {
                seq = hear(&mut socket).await.0;
            }
            return (socket, seq);
        }
    }
    unreachable!("one of them is heard")
}

async fn hear(socket: &mut SubSocket) -> Heard {
    read(&socket.recv().await.expect("a message"))
}

async fn replay(replica: &Running, from: u64) -> Vec<Heard> {
    let mut socket = DealerSocket::new();
    socket
        .connect(&addresses(replica).await.1)
        .await
        .expect("connects");
    let mut ask = ZmqMessage::from(Bytes::new());
    ask.push_back(Bytes::copy_from_slice(&from.to_be_bytes()));
    socket.send(ask).await.expect("asks");
    let mut batches = Vec::new();
    loop {
        let message = socket.recv().await.expect("a batch");
        assert_eq!(message.len(), 4, "an empty frame, then a batch's three");
        let seq = message.get(2).expect("a number");
        if seq.as_ref() == [0xff; 8] {
            assert!(message.get(1).is_some_and(Bytes::is_empty));
            assert!(message.get(3).is_some_and(Bytes::is_empty));
            return batches;
        }
        batches.push(read(&message));
    }
}

fn topical() -> onefill_engine::Config {
    let mut config = config();
    if let Some(events) = &mut config.events {
        events.topic = "kv".into();
    }
    config
}

async fn order(replica: &Running, order: Value) {
    assert_eq!(replica.post("/fault", &order).await.status, 200);
}

#[tokio::test]
async fn a_subscriber_hears_of_every_block_in_order() {
    within(async {
        let replica = start(topical()).await;
        let (mut socket, seq) = subscribe(&replica).await;
        replica.complete(&[1, 2, 3, 4, 5, 6, 7, 8, 9], 1).await;
        assert_eq!(hear(&mut socket).await, (seq + 1, vec![2]));
        replica.complete(&[1, 2, 3, 4, 5, 6, 7, 8, 9], 1).await; // a hit: nothing to tell
        replica
            .complete(&[1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13], 1)
            .await;
        assert_eq!(hear(&mut socket).await, (seq + 2, vec![1]));
        let all = replay(&replica, 0).await;
        let numbers: Vec<u64> = all.iter().map(|(seq, _)| *seq).collect();
        assert_eq!(numbers, (0..=seq + 2).collect::<Vec<_>>());
        assert_eq!(replay(&replica, seq + 2).await, [(seq + 2, vec![1])]);
        assert_eq!(replay(&replica, seq + 3).await, []);
    })
    .await;
}

#[tokio::test]
async fn a_reset_is_told_with_the_next_step() {
    within(async {
        let replica = start(topical()).await;
        let (mut socket, seq) = subscribe(&replica).await;
        assert_eq!(
            replica.ask("POST", "/reset_prefix_cache", "").await.status,
            200
        );
        let silent = tokio::time::timeout(Duration::from_millis(100), socket.recv());
        assert!(silent.await.is_err());
        replica.complete(&[1, 2, 3, 4, 5], 1).await;
        assert_eq!(hear(&mut socket).await, (seq + 1, vec![0, 1]));
    })
    .await;
}

#[tokio::test]
async fn dropped_batches_leave_a_hole_that_a_replay_fills() {
    within(async {
        let replica = start(topical()).await;
        let (mut socket, seq) = subscribe(&replica).await;
        order(&replica, json!({"drop_batches": 2})).await;
        for first in 1..4 {
            replica.complete(&[first, 2, 3, 4, 5], 1).await;
        }
        assert_eq!(hear(&mut socket).await, (seq + 3, vec![1]));
        let missing = replay(&replica, seq + 1).await;
        assert_eq!(missing.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn lost_batches_leave_a_hole_for_good() {
    within(async {
        let replica = start(topical()).await;
        let (mut socket, seq) = subscribe(&replica).await;
        order(&replica, json!({"lose_batches": 1})).await;
        replica.complete(&[1, 2, 3, 4, 5], 1).await;
        replica.complete(&[2, 2, 3, 4, 5], 1).await;
        assert_eq!(hear(&mut socket).await.0, seq + 2);
        assert_eq!(replay(&replica, seq + 1).await, [(seq + 2, vec![1])]);
    })
    .await;
}

#[tokio::test]
async fn silence_ends_when_it_is_told_to() {
    within(async {
        let replica = start(topical()).await;
        let (mut socket, seq) = subscribe(&replica).await;
        order(&replica, json!({"silence": true})).await;
        replica.complete(&[1, 2, 3, 4, 5], 1).await;
        let silent = tokio::time::timeout(Duration::from_millis(100), socket.recv());
        assert!(silent.await.is_err());
        order(&replica, json!({"silence": false})).await;
        replica.complete(&[2, 2, 3, 4, 5], 1).await;
        assert_eq!(hear(&mut socket).await.0, seq + 2);
    })
    .await;
}

#[tokio::test]
async fn a_restart_forgets_all_and_counts_anew() {
    within(async {
        let replica = start(topical()).await;
        let (mut socket, _) = subscribe(&replica).await;
        let before = replica.figure("process_start_time_seconds").await;
        replica.complete(&[1, 2, 3, 4, 5], 1).await;
        hear(&mut socket).await;
        order(&replica, json!({"restart": true})).await;
        assert!(replica.figure("process_start_time_seconds").await > before);
        assert_eq!(replay(&replica, 0).await, []);
        assert_eq!(cached(&replica.complete(&[1, 2, 3, 4, 5], 1).await), 0);
        assert_eq!(
            hear(&mut socket).await,
            (0, vec![1]),
            "no removal is told of"
        );
        assert_eq!(replica.figure("vllm:prefix_cache_queries_total").await, 5.0);
    })
    .await;
}
