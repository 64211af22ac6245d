//! Whether a tokenizer in this process makes the tokens that replicas make: compared when a model
//! appears, and now and then. One that can split text in several ways is made to split as they do.

use bytes::Bytes;
use onefill_fleet::{Fleet, Health, Replica};
use onefill_kv::TokenId;
use onefill_prompt::{Door, Prompter, remote};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Models that are new are looked for this often.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A replica's tokenizer may take this long in a check.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Models that were checked are checked again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(300);

/// Which models' tokenizers are believed.
#[derive(Debug, Default)]
pub struct Trust(arc_swap::ArcSwap<HashMap<String, bool>>);

/// What a comparison has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrustedAs {
    /// Nothing.
    Before,
    /// It differs, and did not or was not known to.
    Different,
    /// It agrees again.
    Same,
}

impl Trust {
    /// Whether a model's tokens were those of a replica when they were last compared; `None`: they
    /// never were.
    pub fn agreed(&self, model: &str) -> Option<bool> {
        self.0.load().get(model).copied()
    }

    /// Whether a model's tokens may be made here: where nobody has found them to differ, and they
    /// can be made in one way only or were found to be the same.
    pub fn is_sure(&self, model: &str, prompter: &Prompter) -> bool {
        let sure = prompter.dialects() == 1;
        self.agreed(model).unwrap_or(sure)
    }

    /// Notes a comparison's outcome.
    pub fn set(&self, model: &str, same: bool) -> TrustedAs {
        let before = self.agreed(model);
        self.0.rcu(|old| {
            let mut new = HashMap::clone(old);
            new.insert(model.to_owned(), same);
            new
        });
        match (before, same) {
            (None | Some(true), false) => TrustedAs::Different,
            (Some(false), true) => TrustedAs::Same,
            _ => TrustedAs::Before,
        }
    }
}

/// Which models were checked, and when.
#[derive(Debug, Default)]
pub struct Checks(HashMap<String, Instant>);

/// A prompt that a replica's tokens are asked of.
#[derive(Debug)]
pub struct Probe {
    door: Door,
    body: Bytes,
    /// What to ask the replica.
    pub request: remote::TokenRequest,
}

impl Checks {
    /// Base models that are served and not checked of late, each with a replica that is up.
    pub fn due(&self, fleet: &Fleet) -> HashMap<String, Arc<Replica>> {
        let fresh = |model: &str| {
            let at = self.0.get(model);
            at.is_some_and(|at| at.elapsed() < AGAIN_AFTER)
        };
        let mut due = HashMap::new();
        for replica in &fleet.replicas {
            let status = replica.status();
            if status.health != Health::Up {
                continue;
            }
            let base = status.models.iter().filter(|model| model.lora_of.is_none());
            for model in base.filter(|model| !fresh(&model.id)) {
                due.entry(model.id.clone())
                    .or_insert_with(|| Arc::clone(replica));
            }
        }
        due
    }

    /// A model was checked.
    pub fn done(&mut self, model: String) {
        self.0.insert(model, Instant::now());
    }

    /// Prompts that show how a model's text is split.
    pub fn probes(model: &str) -> Vec<Probe> {
        let probe = |(door, body): (Door, Vec<u8>)| {
            let asked = onefill_prompt::scan(door, &body).ok()?;
            let request = remote::request(&asked)?;
            Some(Probe {
                door,
                request,
                body: body.into(),
            })
        };
        remote::probes(model)
            .into_iter()
            .filter_map(probe)
            .collect()
    }

    /// Has the prompter speak as the replica does; false where it can't.
    pub fn settle(prompter: &Prompter, answers: &[(Probe, Vec<TokenId>)]) -> bool {
        let says = |dialect: usize, probe: &Probe, theirs: &[TokenId]| {
            let Ok(asked) = onefill_prompt::scan(probe.door, &probe.body) else {
                return true;
            };
            // What can't be turned into tokens here is asked of the replica, or known by its text.
            let ours = prompter.tokens_in(dialect, &asked);
            ours.map_or(true, |ours| *ours == *theirs)
        };
        let agrees = |dialect: &usize| {
            let mut each = answers.iter();
            each.all(|(probe, theirs)| says(*dialect, probe, theirs))
        };
        let dialect = (0..prompter.dialects()).find(agrees);
        if let Some(dialect) = dialect {
            prompter.speak(dialect);
        }
        dialect.is_some()
    }
}

#[cfg(test)]
mod tests;
