//! Endpoints as discovery tells them.

use onefill_fleet::{FeedPorts, ReplicaSpec};
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
    /// Its place among the ports of its pod: the data-parallel rank.
    pub rank: u16,
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
            rank: 0,
            labels: BTreeMap::new(),
        }
    }

    /// The URL by which the fleet knows it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// It as the fleet is told of it. A rank's feeds are as many ports beyond those of the first.
    fn replica(&self, feeds: FeedPorts) -> ReplicaSpec {
        let at = |port: u16| SocketAddr::new(self.address.ip(), port.saturating_add(self.rank));
        let feed = |port: Option<u16>| port.map(|port| format!("tcp://{}", at(port)));
        ReplicaSpec {
            url: self.url(),
            events: feed(feeds.events),
            replay: feed(feeds.replay),
            ..ReplicaSpec::default()
        }
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
    feeds: FeedPorts,
    pods: watch::Sender<Arc<Pods>>,
    replicas: watch::Sender<Vec<ReplicaSpec>>,
}

impl Found {
    /// `feeds`: where endpoints publish their events, if they are too old to tell.
    pub(crate) fn channel(feeds: FeedPorts) -> (Tell, Self) {
        let (tell_pods, pods) = watch::channel(Arc::default());
        let (tell_replicas, replicas) = watch::channel(Vec::new());
        let tell = Tell {
            feeds,
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
        let specs = pods.values().map(|pod| pod.replica(self.feeds));
        let mut specs: Vec<ReplicaSpec> = specs.collect();
        specs.sort_by(|one, other| one.url.cmp(&other.url));
        // Pods first: a replica without one is not picked.
        self.pods.send_replace(Arc::new(pods));
        self.replicas.send_replace(specs);
    }
}

/// The endpoint of a URL that names an address; Envoy can't be sent to a name.
pub(crate) fn of_url(url: &str) -> Option<Pod> {
    let (_, authority) = url.split_once("://")?;
    authority.parse().ok().map(Pod::at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rank_of_a_pod_publishes_at_a_port_of_its_own() {
        let feeds = FeedPorts {
            events: Some(5557),
            replay: None,
        };
        let pod = Pod {
            rank: 1,
            ..Pod::at("10.0.0.1:8001".parse().expect("an address"))
        };
        let spec = pod.replica(feeds);
        assert_eq!(spec.url, "http://10.0.0.1:8001");
        assert_eq!(spec.events.as_deref(), Some("tcp://10.0.0.1:5558"));
        assert_eq!(spec.replay, None);
    }
}
