//! Refusals, each in OpenAI's error form.

use crate::{
    CHAT, HELLO, Router, answer, config,
    fake::{Act, Fake},
    http::{connect, request},
    within,
};
use std::time::Duration;

#[tokio::test]
async fn a_body_that_is_too_large_is_a_413() {
    let fake = Fake::start(answer).await;
    let mut config = config();
    config.limits.body_bytes_max = 1000;
    let router = Router::start(config, &[&fake]).await;
    let long = vec![b' '; 1001];
    let answer = within(connect(router.main).await.post(CHAT, "", &long)).await;
    assert_eq!(answer.error(), "413 body_too_large");
    let mut chunked = connect(router.main).await;
    let head =
        format!("POST {CHAT} HTTP/1.1\r\nhost: r\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n");
    chunked
        .send(&[head.as_bytes(), &long, b"\r\n0\r\n\r\n"].concat())
        .await;
    assert_eq!(within(chunked.answer()).await.error(), "413 body_too_large");
    assert!(fake.bodies().is_empty());
}

#[tokio::test]
async fn malformed_json_is_a_400_and_an_unknown_model_a_404() {
    let fake = Fake::start(answer).await;
    let router = Router::start(config(), &[&fake]).await;
    let mut client = connect(router.main).await;
    for body in [&b"{\"model\":"[..], b"", b"[]", b"{\"model\":\"tiny\"} x"] {
        let answer = within(client.post(CHAT, "", body)).await;
        assert_eq!(
            answer.error(),
            "400 invalid_json",
            "{}",
            String::from_utf8_lossy(body)
        );
    }
    let other = br#"{"model":"other","messages":[]}"#;
    let answer = within(client.post(CHAT, "", other)).await;
    assert_eq!(answer.error(), "404 model_not_found");
    assert_eq!(answer.json()["error"]["param"], "model");
    assert!(fake.bodies().is_empty());
}

#[tokio::test]
async fn beyond_the_queue_is_429_and_beyond_its_time_503() {
    let fake = Fake::start(|_| Act::Silence).await;
    let mut config = config();
    config.limits.in_flight_max = 1;
    config.limits.queue_max = 1;
    config.timeouts.queue = Duration::from_millis(300);
    let router = Router::start(config, &[&fake]).await;
    let mut first = connect(router.main).await;
    first.send(&request("POST", CHAT, "", HELLO)).await;
    within(async {
        while fake.seen.lock().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut waiting = connect(router.main).await;
    waiting.send(&request("POST", CHAT, "", HELLO)).await;
    let mut admin = connect(router.admin).await;
    within(async {
        while !has(
            &within(admin.get("/metrics")).await.body,
            "onefill_queued 1\n",
        ) {}
    })
    .await;
    let refused = within(connect(router.main).await.post(CHAT, "", HELLO)).await;
    assert_eq!(refused.error(), "429 queue_full");
    assert!(refused.header("retry-after").is_some());
    let late = within(waiting.answer()).await;
    assert_eq!(late.error(), "503 queue_timeout");
    assert!(late.header("retry-after").is_some());
}

fn has(body: &[u8], line: &str) -> bool {
    crate::http::find(body, line.as_bytes()).is_some()
}

#[tokio::test]
async fn a_client_that_is_too_slow_is_let_go() {
    let fake = Fake::start(answer).await;
    let mut config = config();
    config.timeouts.header = Duration::from_millis(200);
    config.timeouts.body_idle = Duration::from_millis(200);
    let router = Router::start(config, &[&fake]).await;
    let mut says_nothing = connect(router.main).await;
    let mut half_a_head = connect(router.main).await;
    half_a_head.send(b"POST /v1/chat/comp").await;
    assert!(within(half_a_head.closed()).await);
    let mut half_a_body = connect(router.main).await;
    let half = format!("POST {CHAT} HTTP/1.1\r\nhost: r\r\ncontent-length: 10\r\n\r\n{{");
    half_a_body.send(half.as_bytes()).await;
    assert_eq!(
        within(half_a_body.answer()).await.error(),
        "408 body_timeout"
    );
    assert!(within(says_nothing.closed()).await);
}

#[tokio::test]
async fn a_replica_that_never_answers_is_a_504() {
    let fake = Fake::start(|_| Act::Silence).await;
    let mut config = config();
    config.timeouts.first_byte = Duration::from_millis(200);
    let router = Router::start(config, &[&fake]).await;
    let answer = within(connect(router.main).await.post(CHAT, "", HELLO)).await;
    assert_eq!(answer.error(), "504 replica_timeout");
    within(fake.left.notified()).await;
}
