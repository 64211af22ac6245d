//! Graceful shutdown.

use crate::{
    CHAT, HELLO, Router, config,
    fake::{Act, Fake},
    http::{connect, request},
    within,
};
use parking_lot::Mutex;
use std::time::Duration;
use tokio::{net::TcpStream, sync::mpsc};

async fn streaming(threads: usize) -> (mpsc::UnboundedSender<&'static str>, Fake, Router) {
    let (pieces, receiver) = mpsc::unbounded_channel();
    let receiver = Mutex::new(Some(receiver));
    let fake =
        Fake::start(move |_| Act::Stream(receiver.lock().take().expect("one request"))).await;
    let mut config = config();
    config.threads = threads;
    config.timeouts.drain = Duration::from_secs(10);
    let router = Router::start(config, &[&fake]).await;
    (pieces, fake, router)
}

/// Once on the caller's runtime and once on serving threads.
#[tokio::test]
async fn what_is_in_flight_ends_and_nothing_new_begins() {
    for threads in [0, 2] {
        let (pieces, _fake, router) = streaming(threads).await;
        let (mut idle, mut busy) = (connect(router.main).await, connect(router.main).await);
        assert_eq!(within(idle.get("/health")).await.status, 200);
        busy.send(&request("POST", CHAT, "", HELLO)).await;
        pieces.send("data: one\n\n").expect("a stream");
        within(busy.until(b"one")).await;
        router.shutdown.cancel();
        assert!(within(idle.closed()).await, "an idle connection is closed");
        within(async { while TcpStream::connect(router.main).await.is_ok() {} }).await;
        pieces.send("data: two\n\n").expect("a stream");
        within(busy.until(b"two")).await;
        assert!(!router.running.is_finished());
        drop(pieces);
        within(busy.until(b"0\r\n\r\n")).await;
        within(router.running)
            .await
            .expect("no panic")
            .expect("a clean end");
    }
}

#[tokio::test]
async fn what_takes_too_long_is_not_waited_for() {
    let (pieces, fake, _) = streaming(0).await;
    let mut config = config();
    config.timeouts.drain = Duration::from_millis(100);
    let router = Router::start(config, &[&fake]).await;
    let mut busy = connect(router.main).await;
    busy.send(&request("POST", CHAT, "", HELLO)).await;
    pieces.send("data: one\n\n").expect("a stream");
    within(busy.until(b"one")).await;
    router.shutdown.cancel();
    within(router.running)
        .await
        .expect("no panic")
        .expect("an end");
}
