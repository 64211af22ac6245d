//! Pages for people: who would be picked and why, and what is known of each replica.

use crate::{
    admin,
    app::App,
    candidates::{self, Serving},
    error::Cause,
    prompt,
    reply::{self, Reply},
    roster::Member,
};
use bytes::Bytes;
use http::{StatusCode, request::Parts};
use onefill_kv::Tier;
use onefill_prompt::Door;
use onefill_question::Question;
use onefill_schedule::{Candidate, Explained};
use serde_json::{Map, Value, json};
use std::sync::{Arc, atomic::Ordering::Relaxed};

/// Most of a record that one answer carries.
const PAGE_BYTES_MAX: u64 = 64 << 20;

/// A request body in, each candidate with its terms out; nothing is sent on or booked. The door
/// is `?path=`, or guessed from the body.
pub(crate) async fn route(app: &App, parts: &Parts, body: &Bytes) -> Result<Reply, Cause> {
    let path = admin::query_value(parts.uri.query(), "path");
    let door = path.map_or_else(|| guess(body), |path| Ok(Door::of(path)))?;
    let asked = prompt::scan(door, &parts.headers, body)?;
    let serving = candidates::serving(&app.roster(), asked.model.as_deref())?;
    let prompt = prompt::prompt(app, &asked, (door, body), &serving).await;
    let question = &prompt.question;
    let now = app.now();
    let fit = candidates::fit(&serving, &[], now);
    let weighed = candidates::weigh(app, question, &fit);
    let mut explained = app.scheduler.explain(now, &question.ask, &weighed);
    explained.sort_by(|left, right| left.cost_s.total_cmp(&right.cost_s));
    let rows: Vec<Value> = explained
        .iter()
        .map(|one| row(question, &fit, &weighed, one))
        .collect();
    let page = json!({
        "policy": app.config.policy.name(),
        "model": asked.model,
        "lora": serving.lora,
        "prompt_tokens": question.ask.prompt_tokens,
        "block_tokens": question.ask.block_tokens,
        "chain_blocks": question.ask.chain.len(),
        "tokens": prompt.source.name(),
        "candidates": rows,
        "excluded": excluded(app, &serving),
    });
    Ok(reply::json(StatusCode::OK, &page))
}

/// The door that a body looks made for.
fn guess(body: &Bytes) -> Result<Door, Cause> {
    let unreadable = |error: serde_json::Error| Cause::BadRequest(format!("the body: {error}"));
    let fields: Map<String, Value> = serde_json::from_slice(body).map_err(unreadable)?;
    Ok(match &fields {
        _ if fields.contains_key("messages") => Door::Chat,
        _ if fields.contains_key("prompt") => Door::Completions,
        _ if fields.contains_key("input") => Door::Responses,
        _ => Door::Other,
    })
}

fn row(
    question: &Question,
    members: &[Arc<Member>],
    weighed: &[Candidate],
    explained: &Explained,
) -> Value {
    let member = members
        .iter()
        .find(|member| member.replica.id == explained.replica);
    let candidate = weighed
        .iter()
        .find(|candidate| candidate.replica == explained.replica);
    let terms: Map<String, Value> = explained
        .terms
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    let mut row = json!({
        "replica": member.map(|member| member.replica.url.as_str()),
        "rank": member.and_then(|member| member.replica.rank),
        "cost_ms": explained.cost_s * 1e3,
        "terms": terms,
    });
    if let Some(candidate) = candidate {
        let tiers = Tier::ALL.map(|tier| (tier.name(), candidate.overlap.from_tier(tier)));
        let blocks: Map<String, Value> = tiers
            .iter()
            .map(|(name, blocks)| ((*name).to_owned(), json!(blocks)))
            .collect();
        row["state"] = json!(candidate.knowledge.name());
        row["overlap_tokens"] = json!(candidate.overlap.blocks() * question.ask.block_tokens);
        row["overlap_blocks"] = blocks.into();
        row["running"] = json!(candidate.load.running);
        row["waiting"] = json!(candidate.load.waiting);
        row["kv_usage"] = json!(candidate.load.kv_usage);
    }
    row
}

fn excluded(app: &App, serving: &Serving) -> Vec<Value> {
    let now = app.now();
    let line = |member: &Member| {
        let why = candidates::excluded(member, now);
        (!why.is_empty()).then(|| json!({ "replica": member.replica.url, "why": why }))
    };
    serving
        .members
        .iter()
        .filter_map(|member| line(member))
        .collect()
}

/// The newest files of the record, if there is one.
pub(crate) async fn record(app: &App) -> Result<Reply, Cause> {
    let none =
        || Cause::UnknownPath("/debug/record (the router was started without --record)".into());
    let recorder = app.config.record.clone().ok_or_else(none)?;
    let reading = move || {
        recorder.flush();
        onefill_record::read_newest(recorder.folder(), PAGE_BYTES_MAX)
    };
    match tokio::task::spawn_blocking(reading).await {
        Ok(Ok(text)) => Ok(reply::whole(StatusCode::OK, "application/x-ndjson", text)),
        read => {
            tracing::warn!(?read, "the record can't be read");
            Err(Cause::BadRequest("the record can't be read".into()))
        }
    }
}

/// What is known of each replica, by the fleet and by the router.
pub(crate) fn fleet(app: &App) -> Reply {
    let mut page = app.fleet.debug();
    let roster = app.roster();
    for line in page["replicas"].as_array_mut().into_iter().flatten() {
        let same = |member: &&Arc<Member>| {
            line["url"] == json!(member.replica.url) && line["rank"] == json!(member.replica.rank)
        };
        if let (Some(member), Some(line)) = (roster.members.iter().find(same), line.as_object_mut())
        {
            line.extend(routed(app, member));
        }
    }
    reply::json(StatusCode::OK, &page)
}

fn routed(app: &App, member: &Member) -> [(String, Value); 4] {
    [
        (
            "excluded".into(),
            json!(candidates::excluded(member, app.now())),
        ),
        (
            "circuit".into(),
            json!(member.circuit.gate(app.now()).name()),
        ),
        ("draining".into(), json!(member.draining.load(Relaxed))),
        (
            "in_flight".into(),
            json!(app.scheduler.in_flight(member.replica.id)),
        ),
    ]
}
