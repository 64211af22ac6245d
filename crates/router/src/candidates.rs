//! Which replicas may take a request, and what each holds of it.

use crate::{
    app::App,
    circuit::Gate,
    error::Cause,
    roster::{Member, Roster},
};
use onefill_fleet::{Health, Replica, ServedModel};
use onefill_question::{Known, Question};
use onefill_schedule::Candidate;
use smallvec::SmallVec;
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

/// Replicas that serve a request's model.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) members: SmallVec<[Arc<Member>; 8]>,
    /// The adapter's name, where the model is one.
    pub(crate) lora: Option<String>,
    /// The base model's name, where the model is an adapter.
    pub(crate) lora_of: Option<String>,
}

/// The replicas that serve `model`; all of them where none is named.
pub(crate) fn serving(roster: &Roster, model: Option<&str>) -> Result<Serving, Cause> {
    let mut found = Serving {
        members: SmallVec::new(),
        lora: None,
        lora_of: None,
    };
    let mut anyone_up = false;
    for member in &roster.members {
        let status = member.replica.status();
        anyone_up |= status.health == Health::Up;
        match model {
            None => found.members.push(Arc::clone(member)),
            Some(model) => {
                if let Some(served) = status.models.iter().find(|served| served.id == model) {
                    found.adapter(served);
                    found.members.push(Arc::clone(member));
                }
            }
        }
    }
    match model {
        // Replicas that never answered may serve it: then it is not unknown, only not there.
        Some(model) if found.members.is_empty() && anyone_up => {
            Err(Cause::UnknownModel(model.to_owned()))
        }
        _ if found.members.is_empty() => Err(Cause::NoReplica),
        _ => Ok(found),
    }
}

impl Serving {
    fn adapter(&mut self, served: &ServedModel) {
        if self.lora.is_none() && served.lora_of.is_some() {
            self.lora = Some(served.id.clone());
            self.lora_of.clone_from(&served.lora_of);
        }
    }
}

/// Why a replica takes no requests now; empty: it does.
pub(crate) fn excluded(member: &Member, now: Duration) -> &'static str {
    let status = member.replica.status();
    match (status.health, member.circuit.gate(now)) {
        _ if member.draining.load(Relaxed) => "draining",
        (Health::Down, _) => "down",
        (Health::Unknown, _) => "not asked yet",
        (_, Gate::Open) => "circuit open",
        (Health::Up, _) => "",
    }
}

/// Those that may be tried now, but for `tried`. Where none is fit, the unfit: a request is lost
/// only if no replica answers.
pub(crate) fn fit(
    serving: &Serving,
    tried: &[Arc<Member>],
    now: Duration,
) -> SmallVec<[Arc<Member>; 8]> {
    let untried = |member: &&Arc<Member>| !tried.iter().any(|other| Arc::ptr_eq(member, other));
    let fit = |member: &&Arc<Member>| excluded(member, now).is_empty();
    let willing = |member: &&Arc<Member>| !member.draining.load(Relaxed);
    let left = || serving.members.iter().filter(untried);
    let chosen: SmallVec<[Arc<Member>; 8]> = left().filter(fit).map(Arc::clone).collect();
    if !chosen.is_empty() {
        return chosen;
    }
    left().filter(willing).map(Arc::clone).collect()
}

/// Each member with what it holds of the prompt, and its load.
pub(crate) fn weigh(
    app: &App,
    question: &Question,
    members: &[Arc<Member>],
) -> SmallVec<[Candidate; 8]> {
    let known = Known {
        index: app.fleet.index(),
        policy: app.config.policy,
        now: app.now(),
    };
    question.weigh(known, &replicas(members))
}

/// These members' replicas.
pub(crate) fn replicas(members: &[Arc<Member>]) -> impl Iterator<Item = &Replica> + Clone {
    members.iter().map(|member| &*member.replica)
}

/// Whether the replica answers.
pub(crate) fn health(member: &Member) -> Health {
    member.replica.status().health
}
