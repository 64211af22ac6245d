//! Endpoints as discovery tells them.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
};

/// One endpoint of the pool: a port of a pod.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name, with `-rank-N` behind it.
    pub name: String,
    /// Where it answers.
    pub address: SocketAddr,
    /// Labels of the pod.
    pub labels: BTreeMap<String, String>,
}

impl Pod {
    /// An endpoint of which nothing but the address is known.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self {
            namespace: "default".to_owned(),
            name: address.to_string(),
            address,
            labels: BTreeMap::new(),
        }
    }

    /// The URL by which the fleet knows it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// All endpoints, by URL.
pub type Pods = HashMap<String, Arc<Pod>>;

/// The endpoint of a URL that names an address; Envoy can't be sent to a name.
pub(crate) fn of_url(url: &str) -> Option<Pod> {
    let (_, authority) = url.split_once("://")?;
    authority.parse().ok().map(Pod::at)
}
