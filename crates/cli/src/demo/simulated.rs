//! Simulated replicas in this process.

use super::router::Fleet;
use onefill_engine::{Config, Events, Speed};
use onefill_prompt::Prompter;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const REPLICAS: usize = 3;
/// 12,288 tokens: less than the default workload's documents and open chats, which the three
/// together can hold.
const BLOCKS: u32 = 768;
/// A model of some 8 billion parameters on one mid-size accelerator.
const SPEED: Speed = Speed {
    prefill_tokens_s: 8000.0,
    decode_tokens_s: 100.0,
};
/// Prompts longer than this are computed in pieces, so that decodes don't wait for all of it.
const BATCHED_TOKENS_MAX: usize = 1024;

/// Starts them, with empty caches.
pub(crate) async fn start(seed: u64) -> anyhow::Result<Fleet> {
    let shutdown = CancellationToken::new();
    let mut urls = Vec::new();
    for _ in 0..REPLICAS {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        urls.push(format!("http://{}", listener.local_addr()?));
        let mut config = Config {
            events: Some(Events::at("tcp://127.0.0.1:0", Some("tcp://127.0.0.1:0"))),
            speed: SPEED,
            seed,
            ..Config::default()
        };
        config.cache.blocks = BLOCKS;
        config.batch.batched_tokens_max = BATCHED_TOKENS_MAX;
        let running = onefill_engine::run(listener, config, shutdown.clone());
        tokio::spawn(async move {
            if let Err(error) = running.await {
                tracing::error!(%error, "a simulated replica failed");
            }
        });
    }
    Ok(Fleet {
        urls,
        model: "simulated".into(),
        prompter: Arc::new(Prompter::simulated()),
        _stop: Some(shutdown.drop_guard()),
        processes: Vec::new(),
    })
}
