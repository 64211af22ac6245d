//! The fleet as the router sees it: each replica with its circuit, its idle connections and its
//! metrics. Made anew only when replicas come or go; what stays keeps its state.

use crate::{
    circuit::Circuit,
    config::Limits,
    metrics::{Metrics, ReplicaMetrics},
    upstream::{Origin, Pool},
};
use arc_swap::{ArcSwap, Guard};
use http::HeaderValue;
use onefill_fleet::{Fleet, FleetHandle, Replica};
use parking_lot::Mutex;
use std::sync::{Arc, atomic::AtomicBool};

/// A replica and what the router keeps for it.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) replica: Arc<Replica>,
    pub(crate) origin: Origin,
    /// Value of `x-onefill-replica`.
    pub(crate) url: HeaderValue,
    pub(crate) circuit: Circuit,
    /// Takes no new requests, by a person's word.
    pub(crate) draining: AtomicBool,
    pub(crate) pool: Pool,
    pub(crate) metrics: ReplicaMetrics,
}

/// All replicas at one moment.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    source: Arc<Fleet>,
    pub(crate) members: Vec<Arc<Member>>,
}

/// Keeps the roster in step with the fleet.
#[derive(Debug)]
pub(crate) struct Rosters {
    current: ArcSwap<Roster>,
    changing: Mutex<()>,
    shards: usize,
    limits: Limits,
}

impl Rosters {
    pub(crate) fn new(shards: usize, limits: Limits) -> Self {
        Self {
            current: ArcSwap::default(),
            changing: Mutex::new(()),
            shards,
            limits,
        }
    }

    /// The roster of the fleet as it is now, and the replicas that left since the last call.
    pub(crate) fn now(
        &self,
        fleet: &FleetHandle,
        metrics: &Metrics,
        left: impl Fn(&Member),
    ) -> Guard<Arc<Roster>> {
        let view = fleet.view();
        let roster = self.current.load();
        if Arc::ptr_eq(&view, &roster.source) {
            return roster;
        }
        let _changing = self.changing.lock();
        let old = self.current.load();
        if !Arc::ptr_eq(&view, &old.source) {
            let new = self.build(&view, &old, metrics);
            let gone = |member: &&Arc<Member>| new.member(&member.replica).is_none();
            old.members.iter().filter(gone).for_each(|member| {
                metrics.forget(&member.metrics);
                left(member);
            });
            self.current.store(Arc::new(new));
        }
        self.current.load()
    }

    fn build(&self, view: &Arc<Fleet>, old: &Roster, metrics: &Metrics) -> Roster {
        let keep = |replica: &Arc<Replica>| {
            let known = old.member(replica);
            known.or_else(|| self.member(replica, metrics))
        };
        let members = view.replicas.iter().filter_map(keep).collect();
        Roster {
            source: Arc::clone(view),
            members,
        }
    }

    fn member(&self, replica: &Arc<Replica>, metrics: &Metrics) -> Option<Arc<Member>> {
        let parts = (
            Origin::of(&replica.url),
            HeaderValue::from_str(&replica.url),
        );
        let (Some(origin), Ok(url)) = parts else {
            tracing::warn!(
                url = replica.url,
                "replica left out: its address is not http(s)"
            );
            return None;
        };
        Some(Arc::new(Member {
            replica: Arc::clone(replica),
            origin,
            url,
            circuit: Circuit::default(),
            draining: AtomicBool::new(false),
            pool: Pool::new(self.shards, self.limits.idle_connections_max),
            metrics: metrics.replica(&replica.url, replica.rank),
        }))
    }
}

impl Roster {
    /// The member that a replica is.
    pub(crate) fn member(&self, replica: &Replica) -> Option<Arc<Member>> {
        // In order of their numbers, as the fleet's replicas are.
        let members = &self.members;
        let place = members.binary_search_by_key(&replica.id, |member| member.replica.id);
        let found = members.get(place.ok()?)?;
        std::ptr::eq(&*found.replica, replica).then(|| Arc::clone(found))
    }
}
