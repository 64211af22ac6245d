//! The fleet as the picker sees it: each replica with the pod that it is. Made anew only when one of
//! the two changes.

use crate::pods::{self, Pod, Pods};
use arc_swap::{ArcSwap, Guard};
use onefill_fleet::{Fleet, FleetHandle, Replica};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::watch;

/// A replica and its pod.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) replica: Arc<Replica>,
    pub(crate) pod: Arc<Pod>,
}

/// All of them at one moment.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    fleet: Arc<Fleet>,
    pods: Arc<Pods>,
    pub(crate) members: Vec<Arc<Member>>,
}

/// Keeps the roster in step.
#[derive(Debug, Default)]
pub(crate) struct Rosters {
    current: ArcSwap<Roster>,
    changing: Mutex<()>,
}

impl Rosters {
    /// The roster as it is now; `left` hears of each replica that is gone since the last call.
    pub(crate) fn now(
        &self,
        fleet: &FleetHandle,
        pods: Option<&watch::Receiver<Arc<Pods>>>,
        left: impl Fn(&Member),
    ) -> Guard<Arc<Roster>> {
        let view = fleet.view();
        let pods = pods.map(|pods| Arc::clone(&pods.borrow()));
        let roster = self.current.load();
        if roster.is_of(&view, pods.as_ref()) {
            return roster;
        }
        let _changing = self.changing.lock();
        let old = self.current.load();
        if !old.is_of(&view, pods.as_ref()) {
            let new = Roster::new(Arc::clone(&view), pods);
            let gone = |member: &&Arc<Member>| !new.holds(&member.replica);
            old.members
                .iter()
                .filter(gone)
                .for_each(|member| left(member));
            self.current.store(Arc::new(new));
        }
        self.current.load()
    }
}

impl Roster {
    fn new(fleet: Arc<Fleet>, pods: Option<Arc<Pods>>) -> Self {
        let pod_of = |url: &str| match &pods {
            Some(pods) => pods.get(url).map(Arc::clone),
            None => pods::of_url(url).map(Arc::new),
        };
        let member = |replica: &Arc<Replica>| {
            let pod = pod_of(&replica.url);
            if pod.is_none() && pods.is_none() {
                tracing::warn!(
                    url = replica.url,
                    "replica left out: Envoy needs http://IP:PORT"
                );
            }
            Some(Arc::new(Member {
                replica: Arc::clone(replica),
                pod: pod?,
            }))
        };
        let members = fleet.replicas.iter().filter_map(member).collect();
        Self {
            fleet,
            pods: pods.unwrap_or_default(),
            members,
        }
    }

    fn is_of(&self, fleet: &Arc<Fleet>, pods: Option<&Arc<Pods>>) -> bool {
        Arc::ptr_eq(&self.fleet, fleet) && pods.is_none_or(|pods| Arc::ptr_eq(&self.pods, pods))
    }

    fn holds(&self, replica: &Arc<Replica>) -> bool {
        // In order of their numbers, as the fleet's replicas are.
        let found = self
            .members
            .binary_search_by_key(&replica.id, |member| member.replica.id);
        let found = found.ok().and_then(|place| self.members.get(place));
        found.is_some_and(|member| Arc::ptr_eq(&member.replica, replica))
    }
}
