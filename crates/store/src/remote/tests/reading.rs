//! What comes back, and what must not.

use super::*;
use crate::remote::format;
use std::sync::atomic::Ordering::SeqCst;

/// An engine with one block of 3,000 bytes.
async fn filled() -> Arc<Engine> {
    let engine = Arc::new(Engine::default());
    let store = store(&engine);
    put(&view(&store, "a"), b"key", &value(7, 3000)).await;
    written(&store).await;
    engine
}

#[tokio::test]
async fn bytes_that_are_not_the_blocks_are_a_miss() {
    let changes: [fn(&mut Vec<u8>); 7] = [
        |object| object[40] ^= 1,
        |object| object[600] ^= 1,
        |object| {
            object.pop();
        },
        |object| object.push(0),
        |object| object.truncate(300),
        Vec::clear,
        |object| object.rotate_left(1),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let engine = filled().await;
        engine.tamper(change);
        let store = store(&engine);
        assert_eq!(get(&view(&store, "a"), b"key").await, None, "{number}");
        assert_eq!(remote(&store).stat().corrupt.get(), 1, "{number}");
    }
}

#[tokio::test]
async fn another_keys_or_tenants_object_is_a_miss() {
    let engine = filled().await;
    let object = engine.objects.lock().values().next().cloned().expect("one");
    for (space, key) in [("a", b"kez"), ("b", b"key")] {
        let name = format::name("kv", space, key);
        engine.objects.lock().insert(name, object.clone());
    }
    let store = store(&engine);
    assert_eq!(get(&view(&store, "a"), b"kez").await, None);
    assert_eq!(get(&view(&store, "b"), b"key").await, None);
    assert_eq!(remote(&store).stat().corrupt.get(), 2);
    assert!(get(&view(&store, "a"), b"key").await.is_some());
}

#[tokio::test]
async fn tenants_do_not_meet() {
    let engine = filled().await;
    let store = store(&engine);
    for namespace in ["b", "A", "a/", "a#1", ""] {
        let other = view(&store, namespace);
        assert_eq!(other.lookup(b"key", false).await, None, "{namespace:?}");
        assert_eq!(get(&other, b"key").await, None, "{namespace:?}");
    }
}

#[tokio::test]
async fn many_who_want_one_block_read_it_once() {
    let engine = filled().await;
    let store = store(&engine);
    let asked = engine.asked.load(SeqCst);
    let blocks = view(&store, "a");
    let reads = (0..32).map(|_| get(&blocks, b"key"));
    let all = futures_util::future::join_all(reads).await;
    assert!(all.into_iter().all(|read| read == Some(value(7, 3000))));
    assert_eq!(engine.asked.load(SeqCst), asked + 1);
}

#[tokio::test]
async fn a_block_that_is_deleted_while_it_is_read_stays_gone() {
    let engine = filled().await;
    let store = store(&engine);
    engine.close();
    let before = engine.asked.load(SeqCst);
    let blocks = view(&store, "a");
    let reading = tokio::spawn({
        let blocks = blocks.clone();
        async move { get(&blocks, b"key").await }
    });
    until("it is read", || engine.asked.load(SeqCst) > before).await;
    blocks.delete(b"key");
    engine.open(1000);
    let _either = reading.await.expect("no panic");
    assert_eq!(get(&blocks, b"key").await, None);
    assert_eq!(store.stat().blocks, 0, "it is not in memory either");
}

#[tokio::test]
async fn an_absence_is_asked_for_once_in_a_while() {
    let engine = Arc::new(Engine::default());
    let store = store(&engine);
    let blocks = view(&store, "a");
    for _ in 0..50 {
        assert_eq!(blocks.lookup(b"nothing", true).await, None);
        assert_eq!(get(&blocks, b"nothing").await, None);
    }
    assert!(engine.asked.load(SeqCst) <= 5, "{:?}", engine.asked);
    put(&blocks, b"nothing", b"something").await;
    written(&store).await;
    store.forget_memory();
    until("it is there", || remote(&store).stat().written.get() == 1).await;
    assert_eq!(blocks.lookup(b"nothing", true).await, Some(9));
}

#[tokio::test]
async fn an_engine_that_is_late_is_a_miss_in_time() {
    let engine = filled().await;
    engine.close();
    let mut config = RemoteConfig::new(
        Arc::clone(&engine) as Arc<dyn crate::remote::Remote>,
        "kv",
        1 << 20,
    );
    config.lookup_timeout = Duration::from_millis(50);
    config.read_timeout = Duration::from_millis(50);
    let store = store_with(config);
    let blocks = view(&store, "a");
    let began = std::time::Instant::now();
    assert_eq!(blocks.lookup(b"key", true).await, None);
    assert_eq!(get(&blocks, b"key").await, None);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(remote(&store).stat().faults.get(), 2);
}
