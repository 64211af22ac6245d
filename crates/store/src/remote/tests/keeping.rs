//! What becomes of blocks on their way out.

use super::*;
use std::sync::atomic::Ordering::SeqCst;

#[tokio::test]
async fn another_store_finds_what_one_has_written() {
    let engine = Arc::new(Engine::default());
    let one = store(&engine);
    for number in 0..20 {
        put(&view(&one, "team/model"), &[number], &value(number, 5000)).await;
        written(&one).await;
    }
    let other = store(&engine);
    let blocks = view(&other, "team/model");
    for number in 0..20 {
        assert_eq!(blocks.lookup(&[number], true).await, Some(5000));
        assert_eq!(get(&blocks, &[number]).await, Some(value(number, 5000)));
    }
    assert_eq!(remote(&other).stat().hits.get(), 20);
    // From now on it is in memory.
    let asked = engine.asked.load(SeqCst);
    assert!(get(&blocks, &[3]).await.is_some());
    assert_eq!(engine.asked.load(SeqCst), asked);
}

#[tokio::test]
async fn what_is_there_already_is_not_written_again() {
    let engine = Arc::new(Engine::default());
    for _ in 0..2 {
        let store = store(&engine);
        put(&view(&store, "a"), b"key", b"the same bytes").await;
        written(&store).await;
        until("looked at", || {
            let stat = remote(&store).stat();
            stat.written.get() + stat.known.get() == 1
        })
        .await;
    }
    assert_eq!(engine.puts.load(SeqCst), 1);
}

#[tokio::test]
async fn of_a_key_the_last_write_wins() {
    let engine = Arc::new(Engine::default());
    let first = store(&engine);
    let blocks = view(&first, "a");
    engine.close();
    for number in 0..5 {
        put(&blocks, b"key", &value(number, 900)).await;
        until("somebody works at it", || engine.asked.load(SeqCst) > 0).await;
    }
    engine.open(1000);
    until("all written", || remote(&first).waiting_bytes() == 0).await;
    assert_eq!(
        get(&view(&store(&engine), "a"), b"key").await,
        Some(value(4, 900))
    );
}

#[tokio::test]
async fn a_block_that_waits_is_read_from_the_queue_and_a_deleted_one_is_not() {
    let engine = Arc::new(Engine::default());
    let store = store(&engine);
    let blocks = view(&store, "a");
    put(&blocks, b"old", b"old").await;
    written(&store).await;
    engine.close();
    put(&blocks, b"new", &value(1, 3000)).await;
    blocks.delete(b"old");
    store.forget_memory();
    assert_eq!(blocks.lookup(b"new", false).await, Some(3000));
    assert_eq!(get(&blocks, b"new").await, Some(value(1, 3000)));
    assert_eq!(blocks.lookup(b"old", false).await, None);
    assert_eq!(get(&blocks, b"old").await, None);
    engine.open(1000);
    until("deleted there too", || engine.objects.lock().len() == 1).await;
}

#[tokio::test]
async fn when_too_much_waits_blocks_are_let_go_but_never_shown_old() {
    let engine = Arc::new(Engine::default());
    let store = store(&engine);
    let blocks = view(&store, "a");
    put(&blocks, b"key", b"old").await;
    written(&store).await;
    engine.close();
    for number in 0..20 {
        put(&blocks, &[number], &value(number, 20_000)).await;
    }
    put(&blocks, b"key", &value(0, 30_000)).await;
    let stat = remote(&store).stat();
    assert!(stat.dropped.get() > 3, "{}", stat.dropped.get());
    assert!(remote(&store).waiting_bytes() <= 256 << 10);
    store.forget_memory();
    assert_eq!(
        get(&blocks, b"key").await,
        None,
        "the old bytes are not shown"
    );
    engine.open(1000);
    until("and gone there", || {
        let objects = engine.objects.lock();
        !objects.values().any(|object| object.ends_with(b"old"))
    })
    .await;
}

#[tokio::test]
async fn an_engine_that_fails_costs_no_client_anything() {
    let engine = Arc::new(Engine::default());
    engine.fails.store(true, SeqCst);
    let store = store(&engine);
    let blocks = view(&store, "a");
    for number in 0..10 {
        assert_eq!(put(&blocks, &[number], b"bytes").await, Inserted::New);
        assert_eq!(
            get(&blocks, &[number]).await.as_deref(),
            Some(&b"bytes"[..])
        );
        assert_eq!(get(&blocks, &[100 + number]).await, None);
    }
    until("it is left alone", || remote(&store).is_left_alone()).await;
    let asked = engine.asked.load(SeqCst);
    assert_eq!(get(&blocks, b"another").await, None);
    assert_eq!(engine.asked.load(SeqCst), asked, "nobody asks meanwhile");
    engine.fails.store(false, SeqCst);
    until("it is asked again", || !remote(&store).is_left_alone()).await;
    put(&blocks, b"after", b"bytes").await;
    until("and written to", || remote(&store).stat().written.get() > 0).await;
}

#[tokio::test]
async fn a_store_that_ends_writes_what_waits() {
    let engine = Arc::new(Engine::default());
    let store = store(&engine);
    for number in 0..10 {
        put(&view(&store, "a"), &[number], &value(number, 10_000)).await;
    }
    remote(&store).close(Duration::from_secs(10)).await;
    assert_eq!(engine.objects.lock().len(), 10);
}
