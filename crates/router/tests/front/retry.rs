//! What is sent again, and what never is.

use crate::{
    CHAT, HELLO, Router, answer, config,
    fake::{Act, BREAK, Fake, Seen},
    http::connect,
    spec, within,
};
use onefill_fleet::ReplicaSpec;
use onefill_router::CircuitLimits;
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

type Script = fn(&Seen) -> Act;

/// Requests to a router before a replica that fails as the script says and one that is well.
async fn beside_a_good_one(bad: Script) -> (Fake, Fake, Router) {
    let (bad, good) = (Fake::start(bad).await, Fake::start(answer).await);
    let router = Router::start(config(), &[&bad, &good]).await;
    (bad, good, router)
}

#[tokio::test]
async fn what_fails_before_the_first_byte_goes_elsewhere() {
    let scripts: [Script; 3] = [
        |_| Act::Break,
        |_| Act::Begin(None),
        |_| Act::Reply(503, "", b"busy".to_vec()),
    ];
    for (number, script) in scripts.into_iter().enumerate() {
        let (bad, good, router) = beside_a_good_one(script).await;
        let mut client = connect(router.main).await;
        // Until the bad one was picked first; the good one answers all the same.
        while bad.bodies().is_empty() {
            let body = format!(r#"{{"model":"tiny","prompt":"{}"}}"#, good.bodies().len());
            let answer = within(client.post("/v1/completions", "", body.as_bytes())).await;
            assert_eq!(answer.status, 200, "script {number}");
            assert_eq!(answer.header("x-onefill-replica"), Some(good.url.as_str()));
            assert!(good.bodies().len() < 100, "the bad one is never picked");
        }
        assert_eq!(bad.bodies().last(), good.bodies().last());
    }
}

#[tokio::test]
async fn what_has_begun_is_never_sent_again() {
    let (pieces, receiver) = mpsc::unbounded_channel();
    let receiver = Arc::new(Mutex::new(Some(receiver)));
    let script = move |_: &Seen| Act::Stream(receiver.lock().take().expect("one request"));
    let fakes = [Fake::start(script.clone()).await, Fake::start(script).await];
    let router = Router::start(config(), &[&fakes[0], &fakes[1]]).await;
    let mut client = connect(router.main).await;
    client
        .send(&crate::http::request("POST", CHAT, "", HELLO))
        .await;
    pieces.send("data: one\n\n").expect("a stream");
    within(client.until(b"one\n\n\r\n")).await;
    pieces.send(BREAK).expect("a stream");
    assert!(
        within(client.closed()).await,
        "the client sees that the answer is not whole"
    );
    assert_eq!(fakes[0].bodies().len() + fakes[1].bodies().len(), 1);
}

#[tokio::test]
async fn what_came_before_a_break_reaches_the_client() {
    // All in one go: the break is seen before anything was written to the client.
    let script = |_: &Seen| {
        let (pieces, receiver) = mpsc::unbounded_channel();
        pieces.send("data: one\n\n").expect("a stream");
        pieces.send(BREAK).expect("a stream");
        Act::Stream(receiver)
    };
    let fake = Fake::start(script).await;
    let router = Router::start(config(), &[&fake]).await;
    for _ in 0..20 {
        let mut client = connect(router.main).await;
        client
            .send(&crate::http::request("POST", CHAT, "", HELLO))
            .await;
        within(client.until(b"one\n\n\r\n")).await;
        assert!(within(client.closed()).await, "the answer is not whole");
    }
}

#[tokio::test]
async fn other_errors_are_the_clients_to_see() {
    for status in [400, 404, 429, 500] {
        let (bad, other) = (
            Fake::start(move |_| Act::Reply(status, "", b"its own words".to_vec())).await,
            Fake::start(move |_| Act::Reply(status, "", b"its own words".to_vec())).await,
        );
        let router = Router::start(config(), &[&bad, &other]).await;
        let answer = within(connect(router.main).await.post(CHAT, "", HELLO)).await;
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (status, &b"its own words"[..])
        );
        assert_eq!(bad.bodies().len() + other.bodies().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn the_last_503_is_the_replicas_own() {
    let fake = Fake::start(|_| Act::Reply(503, "retry-after: 7\r\n", b"paused".to_vec())).await;
    let router = Router::start(config(), &[&fake]).await;
    let answer = within(connect(router.main).await.post(CHAT, "", HELLO)).await;
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (503, &b"paused"[..])
    );
    assert_eq!(answer.header("retry-after"), Some("7"));
}

#[tokio::test]
async fn a_replica_that_breaks_alone_is_a_502() {
    let fake = Fake::start(|_| Act::Break).await;
    let router = Router::start(config(), &[&fake]).await;
    let answer = within(connect(router.main).await.post(CHAT, "", HELLO)).await;
    assert_eq!(answer.error(), "502 replica_broke");
}

#[tokio::test]
async fn no_replica_is_a_503_to_come_again() {
    // A port that was just given back: nobody listens there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let replica = ReplicaSpec {
        url,
        ..ReplicaSpec::default()
    };
    let router = Router::cold(config(), vec![replica]).await;
    let mut client = connect(router.main).await;
    let answer = within(client.post(CHAT, "", HELLO)).await;
    assert_eq!(answer.error(), "503 no_replica");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(within(client.get("/ready")).await.status, 503);
    assert_eq!(within(client.get("/health")).await.status, 200);
}

#[tokio::test]
async fn a_closed_idle_connection_is_nobodys_failure() {
    // Answers one request on each connection, then closes it without a word.
    let fake = Fake::start(|seen| match seen.header("x-last") {
        Some(_) => Act::Break,
        None => answer(seen),
    })
    .await;
    let router = Router::start(config(), &[&fake]).await;
    let mut client = connect(router.main).await;
    assert_eq!(within(client.post(CHAT, "", HELLO)).await.status, 200);
    // Breaks on the kept connection, is sent again on a new one, breaks there too: one replica,
    // asked twice, and no more.
    assert_eq!(
        within(client.post(CHAT, "x-last: 1\r\n", HELLO))
            .await
            .error(),
        "502 replica_broke"
    );
    assert_eq!(fake.bodies().len(), 3);
}

#[tokio::test]
async fn a_replica_that_fails_in_a_row_is_left_alone() {
    let (bad, good) = (Fake::start(|_| Act::Break).await, Fake::start(answer).await);
    let mut config = config();
    config.circuit = CircuitLimits {
        failures: 2,
        open: Duration::from_secs(3600),
    };
    let router = Router::cold(config, vec![spec(&bad), spec(&good)]).await;
    router.until_up(2).await;
    let mut client = connect(router.main).await;
    for number in 0..40 {
        let body = format!(
            r#"{{"model":"tiny","prompt":"{number} {}"}}"#,
            "word ".repeat(number)
        );
        assert_eq!(
            within(client.post("/v1/completions", "", body.as_bytes()))
                .await
                .status,
            200
        );
    }
    assert_eq!(bad.bodies().len(), 2);
    let page = within(connect(router.admin).await.get("/debug/fleet"))
        .await
        .json();
    assert_eq!(page["replicas"][0]["circuit"], "open");
}
