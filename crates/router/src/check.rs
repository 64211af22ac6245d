//! Whether the tokenizer in process makes the tokens that the replicas make: asked at the start,
//! now and then, and when predictions go wrong. A model that differs falls back, loudly, to its
//! replicas' tokenizer.

use crate::{app::App, candidates, roster::Member, tokens};
use bytes::Bytes;
use onefill_fleet::Health;
use onefill_kv::TokenId;
use onefill_prompt::{Asked, Door, PromptError, remote};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Models that are new are looked for this often.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Models that were checked are checked again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(300);
/// A replica's tokenizer may take this long in a check.
const PATIENCE: Duration = Duration::from_secs(5);
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

/// Which models' tokenizers are believed.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    /// Whether a model's tokens were those of a replica when they were last compared.
    agreed: arc_swap::ArcSwap<HashMap<String, bool>>,
    seen: AtomicU32,
    wrong: AtomicU32,
    /// One that went wrong, to be compared token by token.
    drifted: Mutex<Option<Sample>>,
}

impl Trust {
    /// Whether a model's tokens are the same as a replica's; `None`: they were never compared.
    pub(crate) fn agreed(&self, model: &str) -> Option<bool> {
        self.agreed.load().get(model).copied()
    }

    /// One prediction's outcome. Evictions explain a few wrong ones, not half of them.
    pub(crate) fn observe(&self, wrong: bool, sample: Sample) {
        if self.seen.fetch_add(1, Relaxed) >= WINDOW {
            self.seen.store(0, Relaxed);
            self.wrong.store(0, Relaxed);
        }
        if wrong && self.wrong.fetch_add(1, Relaxed) + 1 >= WRONG_MAX {
            self.wrong.store(0, Relaxed);
            *self.drifted.lock() = Some(sample);
        }
    }

    fn set(&self, model: &str, same: bool) {
        self.agreed.rcu(|old| {
            let mut new = HashMap::clone(old);
            new.insert(model.to_owned(), same);
            new
        });
    }
}

/// Checks for ever.
pub(crate) async fn watch(app: Arc<App>) {
    let tokenizers = &app.config.tokenizers;
    if tokenizers.default.is_none() && tokenizers.by_model.is_empty() {
        return;
    }
    let mut checked: HashMap<String, Instant> = HashMap::new();
    let mut tick = tokio::time::interval(LOOK_EVERY);
    loop {
        tick.tick().await;
        for (model, member) in due(&app, &checked) {
            if check_model(&app, &model, &member).await {
                checked.insert(model, Instant::now());
            }
        }
        check_drifted(&app).await;
    }
}

/// Base models that are served and not checked of late, each with a replica that is up.
fn due(app: &App, checked: &HashMap<String, Instant>) -> Vec<(String, Arc<Member>)> {
    let fresh = |model: &str| {
        checked
            .get(model)
            .is_some_and(|at| at.elapsed() < AGAIN_AFTER)
    };
    let mut due: HashMap<String, Arc<Member>> = HashMap::new();
    for member in &app.roster().members {
        let status = member.replica.status();
        if status.health != Health::Up {
            continue;
        }
        let base = status.models.iter().filter(|model| model.lora_of.is_none());
        for model in base.filter(|model| !fresh(&model.id)) {
            due.entry(model.id.clone())
                .or_insert_with(|| Arc::clone(member));
        }
    }
    due.into_iter().collect()
}

/// Compares the probes, and has the prompter speak as the replica does. True if the replica
/// answered at all.
async fn check_model(app: &App, model: &str, member: &Member) -> bool {
    let Some(prompter) = app.config.tokenizers.of(model) else {
        return true;
    };
    let samples = remote::probes(model).map(|(door, body)| Sample {
        door,
        body: body.into(),
    });
    let mut answers = Vec::with_capacity(samples.len());
    for sample in &samples {
        if let Some(asked) = read(sample)
            && let Some(theirs) = theirs(app, member, &asked).await
        {
            answers.push((asked, theirs));
        }
    }
    if answers.is_empty() {
        return false;
    }
    let agrees = |dialect: &usize| {
        let mut each = answers.iter();
        each.all(|(asked, theirs)| same(prompter.tokens_in(*dialect, asked), theirs))
    };
    let dialect = (0..prompter.dialects()).find(agrees);
    if let Some(dialect) = dialect {
        prompter.speak(dialect);
    }
    note(app, model, dialect.is_some());
    true
}

async fn check_drifted(app: &App) {
    let Some(sample) = app.trust.drifted.lock().take() else {
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
    if let Some(theirs) = theirs(app, member, &asked).await {
        note(app, base, same(prompter.tokens(&asked), &theirs));
    }
}

fn read(sample: &Sample) -> Option<Asked<'_>> {
    onefill_prompt::scan(sample.door, &sample.body).ok()
}

/// The replica's tokens of a prompt; `None` where it makes none.
async fn theirs(app: &App, member: &Member, asked: &Asked<'_>) -> Option<Vec<TokenId>> {
    let request = remote::request(asked)?;
    let ask = tokens::ask_replica(app, member, &request);
    tokio::time::timeout(PATIENCE, ask).await.ok()?.ok()
}

/// A prompt that can't be turned into tokens here is asked of the replica anyway.
fn same(ours: Result<Arc<[TokenId]>, PromptError>, theirs: &[TokenId]) -> bool {
    ours.map_or(true, |ours| *ours == *theirs)
}

fn note(app: &App, model: &str, same: bool) {
    let before = app.trust.agreed(model);
    app.metrics.distrust(model, !same);
    app.trust.set(model, same);
    match (before, same) {
        (None | Some(true), false) => tracing::warn!(
            model,
            "the tokenizer in process makes other tokens than the replica: the replica's is used"
        ),
        (Some(false), true) => {
            tracing::warn!(
                model,
                "the tokenizer in process makes the replica's tokens again"
            );
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
