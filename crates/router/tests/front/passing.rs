//! What passes through, and how.

use crate::{
    CHAT, HELLO, Router, answer, config,
    fake::{Act, Fake},
    http::{connect, request},
    within,
};
use parking_lot::Mutex;
use tokio::sync::mpsc;

#[tokio::test]
async fn a_body_passes_byte_for_byte_and_the_answer_says_why() {
    let fake = Fake::start(answer).await;
    let router = Router::start(config(), &[&fake]).await;
    let mut client = connect(router.main).await;
    let answer = within(client.post(
        CHAT,
        "x-request-id: mine\r\ntraceparent: 00-a-b-01\r\n",
        HELLO,
    ))
    .await;
    assert_eq!(answer.status, 200);
    assert_eq!(fake.bodies(), [HELLO]);
    let seen = fake.last();
    assert_eq!(seen.line(), "POST /v1/chat/completions");
    assert_eq!(seen.header("x-request-id"), Some("mine"));
    assert_eq!(seen.header("traceparent"), Some("00-a-b-01"));
    assert_eq!(
        Some(seen.header("host").expect("a host")),
        fake.url.strip_prefix("http://")
    );
    assert_eq!(answer.header("x-request-id"), Some("mine"));
    assert_eq!(answer.header("x-onefill-replica"), Some(fake.url.as_str()));
    let reason = answer.header("x-onefill-reason").expect("a reason");
    assert!(
        reason.starts_with("policy=prefix state=approximate overlap_tokens=0 "),
        "{reason}"
    );
}

#[tokio::test]
async fn a_chunked_body_passes_too_and_hop_by_hop_headers_do_not() {
    let fake = Fake::start(answer).await;
    let router = Router::start(config(), &[&fake]).await;
    let mut client = connect(router.main).await;
    let head = format!(
        "POST {CHAT}?a=b HTTP/1.1\r\nhost: r\r\ntransfer-encoding: chunked\r\nconnection: x-hop\r\nx-hop: 1\r\nx-mine: 2\r\n\r\n"
    );
    client.send(head.as_bytes()).await;
    for piece in HELLO.chunks(7) {
        client
            .send(format!("{:x}\r\n", piece.len()).as_bytes())
            .await;
        client.send(&[piece, b"\r\n"].concat()).await;
    }
    client.send(b"0\r\n\r\n").await;
    assert_eq!(within(client.answer()).await.status, 200);
    let seen = fake.last();
    assert_eq!(seen.body, HELLO);
    assert_eq!(seen.line(), "POST /v1/chat/completions?a=b");
    assert_eq!(
        (seen.header("x-hop"), seen.header("x-mine")),
        (None, Some("2"))
    );
}

#[tokio::test]
async fn each_piece_of_a_stream_comes_at_once() {
    let (pieces, receiver) = mpsc::unbounded_channel();
    let receiver = Mutex::new(Some(receiver));
    let fake =
        Fake::start(move |_| Act::Stream(receiver.lock().take().expect("one request"))).await;
    let router = Router::start(config(), &[&fake]).await;
    let mut client = connect(router.main).await;
    client.send(&request("POST", CHAT, "", HELLO)).await;
    // The next piece is only sent when the one before has arrived: a buffer anywhere would hang.
    for piece in ["data: one\n\n", "data: two\n\n", "data: [DONE]\n\n"] {
        pieces.send(piece).expect("a stream");
        within(client.until(piece.as_bytes())).await;
    }
    drop(pieces);
    within(client.until(b"0\r\n\r\n")).await;
}

#[tokio::test]
async fn a_client_that_leaves_cancels_a_stream() {
    let (pieces, receiver) = mpsc::unbounded_channel();
    let receiver = Mutex::new(Some(receiver));
    let fake =
        Fake::start(move |_| Act::Stream(receiver.lock().take().expect("one request"))).await;
    let router = Router::start(config(), &[&fake]).await;
    let mut client = connect(router.main).await;
    client.send(&request("POST", CHAT, "", HELLO)).await;
    pieces.send("data: one\n\n").expect("a stream");
    within(client.until(b"one")).await;
    drop(client);
    within(fake.left.notified()).await;
}

#[tokio::test]
async fn a_client_that_leaves_cancels_before_the_first_byte() {
    let fake = Fake::start(|_| Act::Silence).await;
    let router = Router::start(config(), &[&fake]).await;
    let mut client = connect(router.main).await;
    client.send(&request("POST", CHAT, "", HELLO)).await;
    within(async {
        while fake.seen.lock().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(client);
    within(fake.left.notified()).await;
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let fake = Fake::start(answer).await;
    let router = Router::start(config(), &[&fake]).await;
    let mut client = connect(router.main).await;
    within(client.post(CHAT, "", HELLO)).await;
    let before = *fake.connections.lock();
    for _ in 0..20 {
        assert_eq!(within(client.post(CHAT, "", HELLO)).await.status, 200);
    }
    // The fleet's questions may open one of their own meanwhile.
    assert!(*fake.connections.lock() <= before + 2);
}

#[tokio::test]
async fn every_path_under_v1_passes_and_no_other() {
    let fake = Fake::start(answer).await;
    let router = Router::start(config(), &[&fake]).await;
    let mut client = connect(router.main).await;
    for path in [
        "/v1/rerank",
        "/v1/messages/count_tokens",
        "/v1/audio/speech",
    ] {
        assert_eq!(
            within(client.post(path, "", b"anything")).await.status,
            200,
            "{path}"
        );
    }
    assert_eq!(within(client.get("/v1/responses/id")).await.status, 200);
    assert_eq!(fake.bodies().len(), 4);
    for path in ["/tokenize", "/reset_prefix_cache", "/metrics", "/nothing"] {
        assert_eq!(
            within(client.post(path, "", b"{}")).await.error(),
            "404 unknown_url",
            "{path}"
        );
    }
    assert_eq!(fake.bodies().len(), 4);
}

#[tokio::test]
async fn http_2_with_prior_knowledge_is_understood() {
    use http_body_util::{BodyExt, Full};
    let fake = Fake::start(answer).await;
    let router = Router::start(config(), &[&fake]).await;
    let tcp = tokio::net::TcpStream::connect(router.main)
        .await
        .expect("a connection");
    let io = hyper_util::rt::TokioIo::new(tcp);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, driver) = hyper::client::conn::http2::handshake(executor, io)
        .await
        .expect("HTTP/2");
    tokio::spawn(driver);
    let request = ::http::Request::post(format!("http://router{CHAT}"))
        .body(Full::new(bytes::Bytes::from_static(HELLO)))
        .expect("a request");
    let answer = within(sender.send_request(request))
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 200);
    let body = answer
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes();
    assert!(body.starts_with(b"{\"choices\""));
    assert_eq!(fake.bodies(), [HELLO]);
}

#[tokio::test]
async fn a_session_that_grows_stays_where_its_prefix_is() {
    let fakes = [Fake::start(answer).await, Fake::start(answer).await];
    let router = Router::start(config(), &[&fakes[0], &fakes[1]]).await;
    let mut client = connect(router.main).await;
    let mut text = "once upon a time there was a router ".repeat(40);
    let mut replicas = Vec::new();
    for turn in 0..6 {
        text.push_str(&format!("and then turn {turn} came to pass. "));
        let body = serde_json::json!({ "model": "tiny", "prompt": text }).to_string();
        let answer = within(client.post("/v1/completions", "", body.as_bytes())).await;
        let reason = answer
            .header("x-onefill-reason")
            .expect("a reason")
            .to_owned();
        assert_eq!(reason.contains("overlap_tokens=0 "), turn == 0, "{reason}");
        replicas.push(
            answer
                .header("x-onefill-replica")
                .expect("a replica")
                .to_owned(),
        );
    }
    replicas.dedup();
    assert_eq!(replicas.len(), 1);
}
