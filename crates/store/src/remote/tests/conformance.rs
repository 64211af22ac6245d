//! The same promises, whichever tiers there are.

use super::*;
use crate::{catalog::Condition, disk::DiskConfig};

/// The promises, on a store whose memory is much smaller than what is put.
async fn promises(config: &StoreConfig, keeps_what_memory_lets_go: bool) {
    let store = Store::open(config).expect("a store");
    let (a, b) = (view(&store, "a"), view(&store, "b"));
    assert_eq!(put(&a, b"k", b"one").await, Inserted::New);
    assert_eq!(put(&a, b"k", b"one").await, Inserted::Same);
    assert_eq!(put(&a, b"k", b"two").await, Inserted::Replaced);
    assert_eq!(get(&a, b"k").await.as_deref(), Some(&b"two"[..]));
    assert_eq!(get(&b, b"k").await, None);
    let only_new = Put {
        condition: Condition::Absent,
        ..Put::default()
    };
    assert_eq!(put_as(&a, b"k", b"three", &only_new).await, Inserted::Unmet);
    let expired = Put {
        expires_ms: Some(store.now_ms()),
        ..Put::default()
    };
    put_as(&a, b"short", b"lived", &expired).await;
    assert_eq!(get(&a, b"short").await, None);
    assert_eq!(a.delete(b"k"), Some(3));
    assert_eq!((a.delete(b"k"), get(&a, b"k").await), (None, None));
    for number in 0..100 {
        put(&a, &[number], &value(number, 50_000)).await;
        // Writing behind is bounded: whoever puts faster than it loses some.
        let behind = || {
            let disk = store
                .disk()
                .is_some_and(|disk| disk.sizes().waiting_bytes > 0);
            disk || store
                .remote()
                .is_some_and(|remote| remote.waiting_bytes() > 0)
        };
        until("it is written", || !behind()).await;
    }
    let mut found = 0;
    for number in 0..100 {
        if let Some(read) = get(&a, &[number]).await {
            assert!(read == value(number, 50_000), "{number}: wrong bytes");
            assert_eq!(a.lookup(&[number], false).await, Some(50_000));
            found += 1;
        }
        assert_eq!(get(&b, &[number]).await, None);
    }
    assert_eq!(found == 100, keeps_what_memory_lets_go, "{found}");
    for number in 0..100 {
        a.delete(&[number]);
        assert_eq!(get(&a, &[number]).await, None);
    }
}

#[tokio::test]
async fn every_tier_keeps_the_same_promises() {
    let folder = tempfile::tempdir().expect("a folder");
    for (has_disk, has_remote) in [(false, false), (true, false), (false, true), (true, true)] {
        let disk = DiskConfig {
            path: folder.path().join(format!("{has_remote}")),
            bytes: 64 << 20,
            queue_bytes: 256 << 10,
            index_bytes: 1 << 20,
        };
        let engine: Arc<dyn crate::remote::Remote> = Arc::new(Engine::default());
        let config = StoreConfig {
            memory_bytes: 1 << 20,
            disk: has_disk.then_some(disk),
            remote: has_remote.then(|| RemoteConfig::new(engine, "kv", 256 << 10)),
            ..StoreConfig::default()
        };
        promises(&config, has_disk || has_remote).await;
    }
}
