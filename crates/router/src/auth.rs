//! Optional API keys.

use crate::error::Cause;
use http::{HeaderMap, header::AUTHORIZATION};

/// Lets a request pass that shows one of `keys`, or any where there are none.
pub(crate) fn check(keys: &[String], headers: &HeaderMap) -> Result<(), Cause> {
    if keys.is_empty() {
        return Ok(());
    }
    let shown = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "))
        .or_else(|| headers.get("x-api-key").map(http::HeaderValue::as_bytes))
        .ok_or(Cause::Unauthorized)?;
    // Every key is compared in full: the time says nothing of which one was nearly right.
    let matches = keys
        .iter()
        .filter(|key| same(key.as_bytes(), shown))
        .count();
    if matches > 0 {
        Ok(())
    } else {
        Err(Cause::Unauthorized)
    }
}

fn same(left: &[u8], right: &[u8]) -> bool {
    let differing = left.iter().zip(right).fold(0, |sum, (l, r)| sum | (l ^ r));
    left.len() == right.len() && std::hint::black_box(differing) == 0
}
