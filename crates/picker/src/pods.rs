//! Endpoints as discovery tells them.

use onefill_fleet::ReplicaSpec;
use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
};
use tokio::sync::watch;

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

/// Endpoints that discovery keeps up to date: as pods, and as replicas for the fleet.
#[derive(Clone, Debug)]
pub struct Found {
    /// By URL.
    pub pods: watch::Receiver<Arc<Pods>>,
    /// What the fleet follows.
    pub replicas: watch::Receiver<Vec<ReplicaSpec>>,
}

/// Tells what was found.
#[derive(Debug)]
pub(crate) struct Tell {
    pods: watch::Sender<Arc<Pods>>,
    replicas: watch::Sender<Vec<ReplicaSpec>>,
}

impl Found {
    pub(crate) fn channel() -> (Tell, Self) {
        let (tell_pods, pods) = watch::channel(Arc::default());
        let (tell_replicas, replicas) = watch::channel(Vec::new());
        let tell = Tell {
            pods: tell_pods,
            replicas: tell_replicas,
        };
        (tell, Self { pods, replicas })
    }
}

impl Tell {
    /// These and no others.
    pub(crate) fn all(&self, pods: Vec<Pod>) {
        let by_url = |pod: Pod| (pod.url(), Arc::new(pod));
        let pods: Pods = pods.into_iter().map(by_url).collect();
        let mut urls: Vec<String> = pods.keys().cloned().collect();
        urls.sort();
        let spec = |url| ReplicaSpec {
            url,
            ..ReplicaSpec::default()
        };
        // Pods first: a replica without one is not picked.
        self.pods.send_replace(Arc::new(pods));
        self.replicas
            .send_replace(urls.into_iter().map(spec).collect());
    }
}

/// The endpoint of a URL that names an address; Envoy can't be sent to a name.
pub(crate) fn of_url(url: &str) -> Option<Pod> {
    let (_, authority) = url.split_once("://")?;
    authority.parse().ok().map(Pod::at)
}
