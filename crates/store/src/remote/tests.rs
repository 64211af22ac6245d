//! The tier over an engine in memory that can fail, wait and lie.

mod conformance;
mod engine;
mod keeping;
mod reading;

use super::{RemoteConfig, tier::RemoteTier};
use crate::{
    Door, Store, StoreConfig, View,
    catalog::{Inserted, Put},
};
use engine::Engine;
use std::{sync::Arc, time::Duration};

/// A store with 1 MiB of memory in front of this engine.
fn store(engine: &Arc<Engine>) -> Arc<Store> {
    let remote = Arc::clone(engine) as Arc<dyn super::Remote>;
    store_with(RemoteConfig::new(remote, "kv", 256 << 10))
}

fn store_with(remote: RemoteConfig) -> Arc<Store> {
    let config = StoreConfig {
        memory_bytes: 1 << 20,
        remote: Some(remote),
        ..StoreConfig::default()
    };
    Store::open(&config).expect("a store")
}

fn view(store: &Arc<Store>, namespace: &str) -> View {
    let namespace = store.namespaces().open(namespace, None).expect("one");
    View::new(Arc::clone(store), namespace, Door::Native)
}

fn remote(store: &Store) -> &Arc<RemoteTier> {
    store.remote().expect("a remote tier")
}

async fn put_as(view: &View, key: &[u8], value: &[u8], put: &Put) -> Inserted {
    let mut draft = view.reserve(key, value.len()).await.expect("room");
    draft.copy_from(value);
    view.commit(key, draft, put).expect("whole")
}

async fn put(view: &View, key: &[u8], value: &[u8]) -> Inserted {
    put_as(view, key, value, &Put::default()).await
}

async fn get(view: &View, key: &[u8]) -> Option<Vec<u8>> {
    let stored = view.read(key).await.ok()?;
    let block = &stored.block;
    Some(
        block
            .slices(0, block.len())
            .flat_map(|part| part.to_vec())
            .collect(),
    )
}

/// A value that no other number has.
fn value(number: u8, len: usize) -> Vec<u8> {
    (0..len).map(|at| number ^ (at % 251) as u8).collect()
}

/// Waits for an effect; the test fails where it does not come.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let watching = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let came = tokio::time::timeout(Duration::from_secs(20), watching).await;
    came.unwrap_or_else(|_| panic!("{what}"));
}

/// Waits until all writes are done.
async fn written(store: &Store) {
    until("nothing waits", || remote(store).waiting_bytes() == 0).await;
}
