//! Whether the tokenizer in process makes the tokens that the replicas make: asked at the start,
//! now and then, and when predictions go wrong. A model that differs falls back, loudly, to its
//! replicas' tokenizer.

use crate::{app::App, candidates, roster::Member, tokens};
use bytes::Bytes;
use onefill_fleet::Replica;
use onefill_kv::TokenId;
use onefill_prompt::{Asked, Door, PromptError, remote};
use onefill_question::{Checks, LOOK_EVERY, PATIENCE, TrustedAs};
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

/// Of this many predictions in a row ...
const WINDOW: u32 = 32;
/// ... so many wrong ones make a check.
const WRONG_MAX: u32 = 16;

/// A request whose prediction was wrong.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) door: Door,
    pub(crate) body: Bytes,
}

/// Predictions that went wrong of late.
#[derive(Debug, Default)]
pub(crate) struct Drift {
    seen: AtomicU32,
    wrong: AtomicU32,
    /// One that went wrong, to be compared token by token.
    sample: Mutex<Option<Sample>>,
}

impl Drift {
    /// One prediction's outcome. Evictions explain a few wrong ones, not half of them.
    pub(crate) fn observe(&self, wrong: bool, sample: Sample) {
        if self.seen.fetch_add(1, Relaxed) >= WINDOW {
            self.seen.store(0, Relaxed);
            self.wrong.store(0, Relaxed);
        }
        if wrong && self.wrong.fetch_add(1, Relaxed) + 1 >= WRONG_MAX {
            self.wrong.store(0, Relaxed);
            *self.sample.lock() = Some(sample);
        }
    }
}

/// Checks for ever.
pub(crate) async fn watch(app: Arc<App>) {
    let tokenizers = &app.config.tokenizers;
    if tokenizers.default.is_none() && tokenizers.by_model.is_empty() {
        return;
    }
    let mut checks = Checks::default();
    let mut tick = tokio::time::interval(LOOK_EVERY);
    loop {
        tick.tick().await;
        let due = checks.due(&app.fleet.view());
        for (model, replica) in due {
            if check_model(&app, &model, &replica).await {
                checks.done(model);
            }
        }
        check_drifted(&app).await;
    }
}

/// Compares the probes, and has the prompter speak as the replica does. True if the replica
/// answered at all.
async fn check_model(app: &App, model: &str, replica: &Replica) -> bool {
    let Some(prompter) = app.config.tokenizers.of(model) else {
        return true;
    };
    let Some(member) = app.roster().member(replica) else {
        return false;
    };
    let mut answers = Vec::new();
    for probe in Checks::probes(model) {
        if let Some(theirs) = theirs(app, &member, &probe.request).await {
            answers.push((probe, theirs));
        }
    }
    if answers.is_empty() {
        return false;
    }
    note(app, model, Checks::settle(prompter, &answers));
    true
}

async fn check_drifted(app: &App) {
    let Some(sample) = app.drift.sample.lock().take() else {
        return;
    };
    let Some(asked) = read(&sample) else {
        return;
    };
    let Some(model) = asked.model.as_deref() else {
        return;
    };
    let Ok(serving) = candidates::serving(&app.roster(), Some(model)) else {
        return;
    };
    let base = serving.lora_of.as_deref().unwrap_or(model);
    let (Some(prompter), Some(member)) = (app.config.tokenizers.of(base), serving.members.first())
    else {
        return;
    };
    tracing::info!(
        model = base,
        "predicted and reported cached tokens differ: tokens are compared"
    );
    let Some(request) = remote::request(&asked) else {
        return;
    };
    if let Some(theirs) = theirs(app, member, &request).await {
        note(app, base, same(prompter.tokens(&asked), &theirs));
    }
}

fn read(sample: &Sample) -> Option<Asked<'_>> {
    onefill_prompt::scan(sample.door, &sample.body).ok()
}

/// The replica's tokens of a prompt; `None` where it makes none.
async fn theirs(
    app: &App,
    member: &Member,
    request: &remote::TokenRequest,
) -> Option<Vec<TokenId>> {
    let ask = tokens::ask_replica(app, member, request);
    tokio::time::timeout(PATIENCE, ask).await.ok()?.ok()
}

/// A prompt that can't be turned into tokens here is asked of the replica anyway.
fn same(ours: Result<Arc<[TokenId]>, PromptError>, theirs: &[TokenId]) -> bool {
    ours.map_or(true, |ours| *ours == *theirs)
}

fn note(app: &App, model: &str, same: bool) {
    app.metrics.distrust(model, !same);
    match app.trust.set(model, same) {
        TrustedAs::Different => tracing::warn!(
            model,
            "the tokenizer in process makes other tokens than the replica: the replica's is used"
        ),
        TrustedAs::Same => {
            tracing::warn!(
                model,
                "the tokenizer in process makes the replica's tokens again"
            );
        }
        TrustedAs::Before => {}
    }
}

#[cfg(test)]
mod tests;
