//! Accepts connections until asked to stop.

use crate::{config::Config, publish, replica::Replica, serve::connection};
use onefill_prompt::PromptError;
use std::{sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// A simulated replica that could not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// An event socket could not be bound.
    #[error("events can't be published at {endpoint}: {reason}")]
    Endpoint {
        /// As configured.
        endpoint: String,
        /// Why.
        reason: String,
    },
    /// Sizes that no request fits in.
    #[error("{0}")]
    Sizes(&'static str),
    /// The simulated tokenizer failed.
    #[error("{0}")]
    Tokenizer(#[from] PromptError),
}

/// After a failed accept (no file descriptors left) others get time to close theirs.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Runs a simulated replica until `shutdown` is cancelled; requests in flight are cut off, as when
/// a process ends. Needs a tokio runtime with IO and time.
pub async fn run(
    listener: TcpListener,
    config: Config,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    check(&config)?;
    let (outbox, publisher, addresses) =
        publish::bind(config.events.as_ref(), config.cache.hash_form).await?;
    let replica = Arc::new(Replica::new(config, outbox, addresses)?);
    // Dropped at the end: all of it ends.
    let mut tasks = JoinSet::new();
    tasks.spawn(publish::run(publisher));
    if !replica.is_instant() {
        let replica = Arc::clone(&replica);
        tasks.spawn(async move { replica.compute().await });
    }
    while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((tcp, _peer)) => {
                tasks.spawn(connection(Arc::clone(&replica), tcp, shutdown.clone()));
                while tasks.try_join_next().is_some() {} // forget those that have ended
            }
            Err(error) => {
                tracing::warn!(%error, "connection can't be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    Ok(())
}

fn check(config: &Config) -> Result<(), RunError> {
    let (cache, batch) = (&config.cache, &config.batch);
    if cache.block_tokens == 0 || cache.blocks < 2 {
        return Err(RunError::Sizes(
            "a cache needs two blocks or more, of one token or more",
        ));
    }
    if batch.seqs_max == 0 || batch.batched_tokens_max == 0 {
        return Err(RunError::Sizes(
            "a batch needs room for a request and a token",
        ));
    }
    Ok(())
}
