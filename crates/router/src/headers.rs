//! Headers in and out: what belongs to one connection stays there, what names a request is kept.

use crate::roster::Member;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
};
use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(crate) const REPLICA: HeaderName = HeaderName::from_static("x-onefill-replica");
pub(crate) const REASON: HeaderName = HeaderName::from_static("x-onefill-reason");
const RANK: HeaderName = HeaderName::from_static("x-data-parallel-rank");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const PROXY_AUTHENTICATE: HeaderName = HeaderName::from_static("proxy-authenticate");
const PROXY_AUTHORIZATION: HeaderName = HeaderName::from_static("proxy-authorization");
const EXPECT: HeaderName = http::header::EXPECT;

/// Headers of one hop (RFC 9110, 7.6.1), and `Expect`, which this router has answered already.
const HOP_BY_HOP: [HeaderName; 10] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
];

/// Takes away what belongs to one connection only, and what `Connection` names.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        named.iter().for_each(|name| drop(headers.remove(name)));
    }
    HOP_BY_HOP
        .iter()
        .for_each(|name| drop(headers.remove(name)));
}

/// The request's id: the client's, or a new one.
pub(crate) fn request_id(headers: &mut HeaderMap) -> HeaderValue {
    headers.entry(REQUEST_ID).or_insert_with(fresh_id).clone()
}

/// Unique in this process, and all but surely among routers: a random start, then counted and
/// mixed.
fn fresh_id() -> HeaderValue {
    static START: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let count = NEXT.fetch_add(1, Relaxed);
    let id = format!("{:016x}{count:08x}", START.hash_one(count));
    HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("none"))
}

/// Headers for one replica.
pub(crate) fn for_replica(headers: &HeaderMap, member: &Member) -> HeaderMap {
    let mut headers = headers.clone();
    headers.insert(HOST, member.origin.authority.clone());
    if let Some(rank) = member.replica.rank {
        headers.insert(RANK, HeaderValue::from(rank));
    }
    headers
}

#[cfg(test)]
mod tests;
