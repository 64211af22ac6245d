//! Endpoints among which the data plane allows a request to go:
//! `filter_metadata["envoy.lb.subset_hint"]["x-gateway-destination-endpoint-subset"]`, a list of
//! `ip` or `ip:port`, or one text with commas. An address without a port stands for all its ports.

use crate::proto::Metadata;
use core::net::{IpAddr, SocketAddr};
use prost_types::{Value, value::Kind};

const NAMESPACE: &str = "envoy.lb.subset_hint";
const KEY: &str = "x-gateway-destination-endpoint-subset";

/// What one word of a hint stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Any(IpAddr),
    One(SocketAddr),
}

/// A set of endpoints. An empty one allows none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Subset(Vec<Place>);

impl Subset {
    /// The hint of a message; `None`: there is none, all endpoints of the pool are allowed.
    pub fn read(metadata: Option<&Metadata>) -> Option<Self> {
        let hint = metadata?.filter_metadata.get(NAMESPACE)?.fields.get(KEY)?;
        Some(Self::parse(&words(hint).join(",")))
    }

    /// Addresses with commas between them. What is none is left out: it can't be matched.
    pub fn parse(text: &str) -> Self {
        Self(text.split(',').filter_map(place).collect())
    }

    /// Whether an endpoint is in it.
    pub fn allows(&self, address: SocketAddr) -> bool {
        self.0.iter().any(|place| match place {
            Place::Any(ip) => *ip == address.ip(),
            Place::One(one) => *one == address,
        })
    }
}

/// All texts of a hint; other kinds of values say nothing.
fn words(hint: &Value) -> Vec<&str> {
    match &hint.kind {
        Some(Kind::StringValue(text)) => vec![text],
        Some(Kind::ListValue(list)) => list.values.iter().flat_map(words).collect(),
        _ => Vec::new(),
    }
}

fn place(word: &str) -> Option<Place> {
    let word = word.trim();
    let bare = word
        .strip_prefix('[')
        .and_then(|word| word.strip_suffix(']'))
        .unwrap_or(word);
    match (word.parse(), bare.parse()) {
        (Ok(address), _) => Some(Place::One(address)),
        (_, Ok(ip)) => Some(Place::Any(ip)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
