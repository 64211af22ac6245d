//! Reads a request's body whole (it may have to be sent twice), up to the limit.

use crate::error::Cause;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header::CONTENT_LENGTH};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::time::Duration;

/// The body as it came.
pub(crate) async fn read(
    headers: &HeaderMap,
    mut body: Incoming,
    limit: usize,
    idle: Duration,
) -> Result<Bytes, Cause> {
    let announced = announced(headers);
    if announced.is_some_and(|bytes| bytes > limit) {
        return Err(Cause::BodyTooLarge { limit });
    }
    let Some(first) = frame(&mut body, idle).await? else {
        return Ok(Bytes::new());
    };
    if announced == Some(first.len()) {
        return Ok(first); // the usual case: nothing is copied
    }
    if first.len() > limit {
        return Err(Cause::BodyTooLarge { limit });
    }
    // What is announced is believed up to 1 MiB: memory follows the bytes, not the promise.
    let room = announced.unwrap_or(0).min(1 << 20).max(first.len());
    let mut whole = BytesMut::with_capacity(room);
    whole.extend_from_slice(&first);
    while let Some(data) = frame(&mut body, idle).await? {
        if whole.len() + data.len() > limit {
            return Err(Cause::BodyTooLarge { limit });
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The next data; `None` at the end. Trailers are not for engines.
async fn frame(body: &mut Incoming, idle: Duration) -> Result<Option<Bytes>, Cause> {
    loop {
        let frame = match tokio::time::timeout(idle, body.frame()).await {
            Err(_elapsed) => return Err(Cause::BodyTimeout),
            Ok(None) => return Ok(None),
            Ok(Some(frame)) => frame.map_err(|_| Cause::BodyBroken)?,
        };
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
}
