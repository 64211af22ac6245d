//! Endpoints in a file that is read again when it changes.

use crate::{
    pods::{Found, Pod},
    setup::endpoints,
};
use onefill_fleet::FeedPorts;
use std::{path::PathBuf, time::Duration};
use tokio_util::sync::CancellationToken;

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_secs(1);
/// Largest file that is read: the reference's bound.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Follows a file until `stop`. A file that can't be used changes nothing: endpoints that serve go on
/// serving.
pub fn follow(path: PathBuf, stop: CancellationToken) -> Found {
    let (tell, found) = Found::channel(FeedPorts::default());
    tokio::spawn(stop.run_until_cancelled_owned(async move {
        let mut known = None;
        loop {
            match read(&path).await {
                Ok(text) if known.as_ref() != Some(&text) => {
                    match endpoints(&text) {
                        Ok(pods) => tell.all(pods),
                        Err(faults) => {
                            let first = faults.first().map(ToString::to_string);
                            tracing::warn!(path = %path.display(), faults = faults.len(), first, "the file of endpoints can't be used");
                        }
                    }
                    known = Some(text);
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "the file of endpoints can't be read");
                }
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }));
    found
}

async fn read(path: &PathBuf) -> std::io::Result<String> {
    let bytes = tokio::fs::metadata(path).await?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!(
            "{bytes} bytes, more than {FILE_BYTES_MAX}"
        )));
    }
    tokio::fs::read_to_string(path).await
}

/// Endpoints that don't change.
#[must_use]
pub fn given(pods: Vec<Pod>) -> Found {
    let (tell, found) = Found::channel(FeedPorts::default());
    tell.all(pods);
    found
}
