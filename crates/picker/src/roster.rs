//! The fleet as the picker sees it: each replica with the pod that it is, and who may answer for which
//! model. Made anew only when one of these changes, so that a choice among thousands looks at each once.

use crate::pods::{self, Pod, Pods};
use arc_swap::{ArcSwap, Guard};
use onefill_fleet::{Fleet, FleetHandle, Health, Replica, ServedModel};
use onefill_question::block_sizes;
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::watch;

/// A replica and its pod.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) replica: Arc<Replica>,
    pub(crate) pod: Arc<Pod>,
}

/// Members that a request may go to, and what is the same for all requests that may.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) members: Vec<Arc<Member>>,
    /// Theirs, in the same order: what a choice among thousands looks at lies close together.
    pub(crate) replicas: Vec<Arc<Replica>>,
    /// Tokens a block, each once.
    pub(crate) block_sizes: SmallVec<[u32; 2]>,
    /// The model asked for, where it is an adapter.
    pub(crate) adapter: Option<ServedModel>,
}

/// All of them at one moment.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    fleet: Arc<Fleet>,
    pods: Arc<Pods>,
    facts: u64,
    pub(crate) members: Vec<Arc<Member>>,
    /// Those that are well.
    well: Arc<Group>,
    /// Those of them that serve a model, for each that was asked for.
    serving: Mutex<HashMap<String, Arc<Group>>>,
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
        let facts = fleet.facts();
        let view = fleet.view();
        let pods = pods.map(|pods| Arc::clone(&pods.borrow()));
        let roster = self.current.load();
        if roster.is_of(&view, pods.as_ref(), facts) {
            return roster;
        }
        let _changing = self.changing.lock();
        let old = self.current.load();
        if !old.is_of(&view, pods.as_ref(), facts) {
            let new = Roster::new(Arc::clone(&view), pods, facts);
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

impl Member {
    fn is_well(&self) -> bool {
        self.replica.status().health == Health::Up
    }

    fn serves(&self, model: &str) -> bool {
        let status = self.replica.status();
        status.models.iter().any(|served| served.id == model)
    }
}

impl Group {
    /// Those that say they serve the model; all of them where nobody does: what a pool serves is for its
    /// owner to say, and the engine's answer to a wrong name is clearer than ours.
    pub(crate) fn new(mut members: Vec<Arc<Member>>, model: Option<&str>) -> Self {
        if let Some(model) = model
            && members.iter().any(|member| member.serves(model))
        {
            members.retain(|member| member.serves(model));
        }
        let adapter = model.and_then(|model| {
            members.iter().find_map(|member| {
                let status = member.replica.status();
                let mut served = status.models.iter();
                let found = served.find(|served| served.id == model && served.lora_of.is_some());
                found.cloned()
            })
        });
        let replicas: Vec<_> = members
            .iter()
            .map(|each| Arc::clone(&each.replica))
            .collect();
        Self {
            block_sizes: block_sizes(replicas.iter().map(|replica| &**replica)),
            replicas,
            members,
            adapter,
        }
    }
}

impl Roster {
    fn new(fleet: Arc<Fleet>, pods: Option<Arc<Pods>>, facts: u64) -> Self {
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
        let members: Vec<Arc<Member>> = fleet.replicas.iter().filter_map(member).collect();
        let well = members.iter().filter(|member| member.is_well());
        Self {
            fleet,
            pods: pods.unwrap_or_default(),
            facts,
            well: Arc::new(Group::new(well.cloned().collect(), None)),
            members,
            serving: Mutex::default(),
        }
    }

    fn is_of(&self, fleet: &Arc<Fleet>, pods: Option<&Arc<Pods>>, facts: u64) -> bool {
        self.facts == facts
            && Arc::ptr_eq(&self.fleet, fleet)
            && pods.is_none_or(|pods| Arc::ptr_eq(&self.pods, pods))
    }

    /// Those that are well.
    pub(crate) fn well(&self) -> &Group {
        &self.well
    }

    /// Those that may answer: the well ones that serve the model, among those that are `allowed`. Where
    /// none is well the others, since a request is lost only if no replica answers; empty where there
    /// is none.
    pub(crate) fn may_answer(
        &self,
        model: Option<&str>,
        allowed: Option<&dyn Fn(&Pod) -> bool>,
    ) -> Arc<Group> {
        if allowed.is_none() && !self.well.members.is_empty() {
            return self.serving(model);
        }
        let is_allowed = |member: &&Arc<Member>| allowed.is_none_or(|is| is(&member.pod));
        let all = || self.members.iter().filter(is_allowed);
        let mut found: Vec<_> = all().filter(|each| each.is_well()).cloned().collect();
        if found.is_empty() {
            found = all().cloned().collect();
        }
        Arc::new(Group::new(found, model))
    }

    /// Those that are well and say they serve the model; all that are well where nobody does.
    fn serving(&self, model: Option<&str>) -> Arc<Group> {
        let Some(model) = model else {
            return Arc::clone(&self.well);
        };
        if let Some(group) = self.serving.lock().get(model) {
            return Arc::clone(group);
        }
        if !self.well.members.iter().any(|member| member.serves(model)) {
            // Clients may name any model: these are not kept.
            return Arc::clone(&self.well);
        }
        let group = Arc::new(Group::new(self.well.members.clone(), Some(model)));
        let mut serving = self.serving.lock();
        Arc::clone(serving.entry(model.to_owned()).or_insert(group))
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
