//! Thousands of requests at once over gRPC, and proxies that vanish in the middle of them.
#![expect(clippy::expect_used, reason = "helpers of tests, for tests only")]

mod client;
mod world;

use client::{Said, Stream};
use std::time::Duration;
use world::World;

/// Streams at once, over so many connections.
const STREAMS: usize = 10_000;
const CONNECTIONS: usize = 20;

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(100), work)
        .await
        .expect("in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_at_once_are_answered_and_leave_nothing() {
    within(async {
        let world = World::start().await;
        let mut proxies = Vec::new();
        for _ in 0..CONNECTIONS {
            proxies.push(client::connect(world.main).await);
        }
        let mut streams: Vec<Stream> = Vec::with_capacity(STREAMS);
        for turn in 0..STREAMS {
            let mut stream = proxies[turn % CONNECTIONS].open();
            stream.headers();
            stream.body("{\"model\":\"m\",", false);
            streams.push(stream);
        }
        world.streams(STREAMS).await;
        for stream in &mut streams {
            stream.body("\"prompt\":\"hello\"}", true);
        }
        for stream in &mut streams {
            assert_eq!(
                stream.next().await,
                Said::Destination(world.endpoint.clone())
            );
            assert_eq!(stream.next().await, Said::Body);
        }
        assert_eq!(world.in_flight().await, STREAMS);
        for stream in &mut streams {
            stream.answered();
        }
        for stream in &mut streams {
            assert_eq!(stream.next().await, Said::Body);
            assert_eq!(stream.next().await, Said::Body);
        }
        drop(streams);
        world.streams(0).await;
        assert_eq!(world.in_flight().await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_vanishes_leaves_nothing_in_flight() {
    within(async {
        let world = World::start().await;
        for at in 0..3 {
            let proxy = client::connect(world.main).await;
            let mut streams: Vec<Stream> = (0..100).map(|_| proxy.open()).collect();
            for stream in &mut streams {
                stream.headers();
                stream.body("{\"model\":\"m\",\"prompt\":\"x\"}", at > 0);
            }
            world.streams(100).await;
            if at > 0 {
                for stream in &mut streams {
                    assert_eq!(
                        stream.next().await,
                        Said::Destination(world.endpoint.clone())
                    );
                }
                assert_eq!(world.in_flight().await, 100);
            }
            if at > 1 {
                streams.iter_mut().for_each(Stream::answer_begins);
            }
            proxy.vanish();
            world.streams(0).await;
            assert_eq!(world.in_flight().await, 0, "vanished at step {at}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_ends_its_stream_and_no_other() {
    within(async {
        let world = World::start().await;
        let proxy = client::connect(world.main).await;
        let mut good = proxy.open();
        good.headers();
        for nonsense in [
            &b"\0\0\0\0\x05hello"[..],
            b"\x01\0\0\0\0",
            b"\0\xff\xff\xff\xff",
            b"junk",
        ] {
            let mut bad = proxy.open();
            bad.raw(nonsense);
            assert_eq!(bad.next().await, Said::End);
        }
        good.body("{\"model\":\"m\",\"prompt\":\"x\"}", true);
        assert_eq!(good.next().await, Said::Destination(world.endpoint.clone()));
        drop(good);
        world.streams(0).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_turns_with_the_endpoints_and_with_the_end() {
    within(async {
        let world = World::start().await;
        let proxy = client::connect(world.main).await;
        for service in [
            "",
            "readiness",
            "envoy.service.ext_proc.v3.ExternalProcessor",
        ] {
            assert!(proxy.is_healthy(service).await, "{service}");
        }
        world.shutdown.cancel();
        while proxy.is_healthy("readiness").await {
            tokio::task::yield_now().await;
        }
        assert!(proxy.is_healthy("liveness").await, "the process lives");
        let mut stream = proxy.open();
        stream.headers();
        stream.body("{\"model\":\"m\",\"prompt\":\"x\"}", true);
        let said = stream.next().await;
        assert_eq!(
            said,
            Said::Destination(world.endpoint.clone()),
            "requests are still taken"
        );
    })
    .await;
}
