//! The choice among those that are fit.

use crate::{
    app::App,
    candidates::{self, Serving},
    metrics::TokenSource,
    prompt::Prompt,
    roster::Member,
};
use http::HeaderValue;
use onefill_question::Question;
use onefill_schedule::{Pick, Policy};
use std::{fmt::Write as _, sync::Arc};

/// Chooses one that was not tried yet, and books the request there.
pub(crate) fn pick(
    app: &App,
    question: &Question,
    serving: &Serving,
    tried: &[Arc<Member>],
) -> Option<(Arc<Member>, Pick)> {
    let now = app.now();
    let fit = candidates::fit(serving, tried, now);
    let weighed = candidates::weigh(app, question, &fit);
    let pick = app.scheduler.pick(now, &question.ask, &weighed)?;
    let member = fit
        .into_iter()
        .find(|member| member.replica.id == pick.replica)?;
    member.circuit.enter(now, &app.config.circuit);
    app.metrics.picked(pick.receipt.knowledge);
    Some((member, pick))
}

/// Value of `x-onefill-reason`.
pub(crate) fn reason(pick: &Pick, prompt: &Prompt, member: &Member, retries: usize) -> HeaderValue {
    let mut text = pick.receipt.to_string();
    let mut add = |key: &str, value: &dyn std::fmt::Display| {
        // Writing to a String can't fail.
        _ = write!(text, " {key}={value}");
    };
    if pick.receipt.policy == Policy::Kv && prompt.source != TokenSource::Local {
        add("tokens", &prompt.source.name());
    }
    if let Some(rank) = member.replica.rank {
        add("rank", &rank);
    }
    if retries > 0 {
        add("retries", &retries);
    }
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}
