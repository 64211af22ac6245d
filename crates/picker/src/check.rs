//! Whether the tokenizer in process makes the tokens that endpoints make. A model that differs is known
//! approximately, by its text.

use crate::app::App;
use bytes::Bytes;
use onefill_fleet::Replica;
use onefill_prompt::remote;
use onefill_question::{Checks, LOOK_EVERY, PATIENCE, TrustedAs};
use std::sync::Arc;

/// Checks for ever.
pub(crate) async fn watch(app: Arc<App>) {
    if app.config.tokenizer.is_none() && app.config.tokenizers.is_empty() {
        return;
    }
    let mut checks = Checks::default();
    let mut tick = tokio::time::interval(LOOK_EVERY);
    loop {
        tick.tick().await;
        let due = checks.due(&app.fleet.view());
        for (model, replica) in due {
            if check(&app, &model, &replica).await {
                checks.done(model);
            }
        }
    }
}

/// Compares the probes; true if the endpoint answered at all.
async fn check(app: &App, model: &str, replica: &Replica) -> bool {
    let Some(prompter) = app.config.tokenizer_of(model) else {
        return true;
    };
    let mut answers = Vec::new();
    for probe in Checks::probes(model) {
        let (path, body) = (probe.request.path, Bytes::from(probe.request.body.clone()));
        let answer = app.fleet.ask(replica, path, body, PATIENCE).await;
        if let Some(theirs) = answer.and_then(|answer| remote::read(path, &answer).ok()) {
            answers.push((probe, theirs));
        }
    }
    if answers.is_empty() {
        return false;
    }
    let same = Checks::settle(prompter, &answers);
    if app.trust.set(model, same) == TrustedAs::Different {
        tracing::warn!(
            model,
            "the tokenizer makes other tokens than the endpoint: caches are known approximately"
        );
    }
    true
}
