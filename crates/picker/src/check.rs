//! Whether the tokenizer in process makes the tokens that endpoints make: asked when a model appears,
//! and now and then. One that can split text in several ways is made to split as they do; a model
//! that differs is known approximately, by its text.

use crate::{app::App, roster::Member};
use bytes::Bytes;
use onefill_fleet::Health;
use onefill_kv::TokenId;
use onefill_prompt::{Asked, remote};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Models that are new are looked for this often.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Models that were checked are checked again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(300);
/// An endpoint's tokenizer may take this long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which models' tokenizers are believed.
#[derive(Debug, Default)]
pub(crate) struct Trust(arc_swap::ArcSwap<HashMap<String, bool>>);

impl Trust {
    /// Whether a model's tokens may be made here: always, where they can be made in one way only and
    /// nobody has found them to differ.
    pub(crate) fn is_good(&self, model: &str, dialects: usize) -> bool {
        self.0.load().get(model).copied().unwrap_or(dialects == 1)
    }

    fn set(&self, model: &str, good: bool) {
        self.0.rcu(|old| {
            let mut new = HashMap::clone(old);
            new.insert(model.to_owned(), good);
            new
        });
    }
}

/// Checks for ever.
pub(crate) async fn watch(app: Arc<App>) {
    if app.config.tokenizer.is_none() && app.config.tokenizers.is_empty() {
        return;
    }
    let mut checked: HashMap<String, Instant> = HashMap::new();
    let mut tick = tokio::time::interval(LOOK_EVERY);
    loop {
        tick.tick().await;
        for (model, member) in due(&app, &checked) {
            if check(&app, &model, &member).await {
                checked.insert(model, Instant::now());
            }
        }
    }
}

/// Base models that are served and not checked of late, each with an endpoint that is up.
fn due(app: &App, checked: &HashMap<String, Instant>) -> HashMap<String, Arc<Member>> {
    let fresh = |model: &str| {
        let at = checked.get(model);
        at.is_some_and(|at| at.elapsed() < AGAIN_AFTER)
    };
    let mut due = HashMap::new();
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
    due
}

/// Compares the probes; true if the endpoint answered at all.
async fn check(app: &App, model: &str, member: &Member) -> bool {
    let Some(prompter) = app.config.tokenizer_of(model) else {
        return true;
    };
    let bodies = remote::probes(model);
    let mut answers = Vec::with_capacity(bodies.len());
    for (door, body) in &bodies {
        if let Ok(asked) = onefill_prompt::scan(*door, body)
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
        // What can't be made here is not compared: such prompts are known by their text.
        each.all(|(asked, theirs)| {
            let ours = prompter.tokens_in(*dialect, asked);
            ours.map_or(true, |ours| *ours == **theirs)
        })
    };
    let dialect = (0..prompter.dialects()).find(agrees);
    if let Some(dialect) = dialect {
        prompter.speak(dialect);
    } else {
        tracing::warn!(
            model,
            "the tokenizer makes other tokens than the endpoint: caches are known approximately"
        );
    }
    app.trust.set(model, dialect.is_some());
    true
}

/// The endpoint's tokens of a prompt; `None` where it makes none.
async fn theirs(app: &App, member: &Member, asked: &Asked<'_>) -> Option<Vec<TokenId>> {
    let request = remote::request(asked)?;
    let body = Bytes::from(request.body);
    let asking = app.fleet.ask(&member.replica, request.path, body, PATIENCE);
    remote::read(request.path, &asking.await?).ok()
}
