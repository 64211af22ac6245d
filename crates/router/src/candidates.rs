//! Which replicas may take a request, and what each holds of it.

use crate::{
    app::App,
    circuit::Gate,
    error::Cause,
    prompt::{Keys, Question},
    roster::{Member, Roster},
};
use onefill_fleet::{Health, ServedModel, Status};
use onefill_index::Overlaps;
use onefill_kv::{Knowledge, Overlap};
use onefill_schedule::{Candidate, Policy, ReplicaLoad};
use smallvec::SmallVec;
use std::{
    cell::RefCell,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
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

thread_local! {
    static OVERLAPS: RefCell<Overlaps> = RefCell::default();
}

/// Each member with what it holds of the prompt, and its load.
pub(crate) fn weigh(
    app: &App,
    question: &Question,
    members: &[Arc<Member>],
) -> SmallVec<[Candidate; 8]> {
    let now = Instant::now();
    let mut candidates: SmallVec<[Candidate; 8]> = members
        .iter()
        .map(|member| guess(app, question, member, now))
        .collect();
    for keys in &question.keys {
        if question.exact && candidates.iter().any(|c| c.knowledge == Knowledge::Exact) {
            look_up(app, question, keys, members, &mut candidates);
        }
    }
    candidates
}

/// What is known without the index: the router's own history.
fn guess(app: &App, question: &Question, member: &Member, now: Instant) -> Candidate {
    let status = member.replica.status();
    let knowledge = knowledge(app.config.policy, question, &status);
    let mut load = load(&status, now);
    let mut overlap = Overlap::default();
    if let Some(keys) = question.keys_of(&status) {
        let history = member.replica.history().lock();
        load.idle = history.idle(keys.keyed.chain.len(), app.now());
        if knowledge == Knowledge::Approximate {
            load.held_blocks = u32::try_from(history.len()).unwrap_or(u32::MAX);
            let held = history.overlap(&keys.keyed.chain);
            overlap = question.counted(Overlap::gpu(held), keys);
        }
    }
    Candidate {
        replica: member.replica.id,
        overlap,
        knowledge,
        load,
    }
}

fn look_up(
    app: &App,
    question: &Question,
    keys: &Keys,
    members: &[Arc<Member>],
    candidates: &mut [Candidate],
) {
    OVERLAPS.with_borrow_mut(|overlaps| {
        app.fleet.index().lookup(&keys.keyed.chain, overlaps);
        for (member, candidate) in members.iter().zip(candidates) {
            let same = member.replica.status().block_tokens == Some(keys.block_tokens);
            if same && candidate.knowledge == Knowledge::Exact {
                candidate.overlap = question.counted(overlaps.get(candidate.replica), keys);
            }
        }
    });
}

/// How well the replica's cache is known for this prompt.
fn knowledge(policy: Policy, question: &Question, status: &Status) -> Knowledge {
    match (policy, status.knowledge) {
        _ if question.keys.is_empty() => Knowledge::LoadOnly,
        (Policy::Prefix, _) => Knowledge::Approximate,
        (_, Knowledge::Exact) if !question.exact => Knowledge::Approximate,
        (_, known) => known,
    }
}

fn load(status: &Status, now: Instant) -> ReplicaLoad {
    ReplicaLoad {
        running: status.load.running,
        waiting: status.load.waiting,
        kv_usage: status.load.kv_usage,
        capacity_blocks: status.capacity_blocks.unwrap_or(0),
        held_blocks: u32::try_from(status.held_blocks).unwrap_or(u32::MAX),
        age: status
            .load
            .heard
            .map(|heard| now.saturating_duration_since(heard)),
        idle: None,
    }
}

/// Whether the replica answers.
pub(crate) fn health(member: &Member) -> Health {
    member.replica.status().health
}
