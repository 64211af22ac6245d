//! A body becomes a question: by the tokenizer in this process where that is to be believed, else by an
//! endpoint's where a cache is known by its events, else by its text.

use crate::{
    app::App,
    roster::{Group, Member},
};
use onefill_fleet::Health;
use onefill_kv::{Knowledge, TokenId};
use onefill_prompt::{Asked, Door, Input, Namespace, remote};
use onefill_question::{Known, Made, Question, text_keys, token_keys};
use onefill_schedule::{Candidate, Policy};
use smallvec::SmallVec;
use std::sync::Arc;

/// A readable body and what it is for.
#[derive(Debug)]
pub(crate) struct Body<'a> {
    pub(crate) door: Door,
    pub(crate) asked: &'a Asked<'a>,
    pub(crate) bytes: &'a bytes::Bytes,
    /// The model that is to answer; not what the body says where it is rewritten.
    pub(crate) model: Option<&'a str>,
}

/// What is asked of these replicas.
pub(crate) async fn question(app: &App, body: &Body<'_>, group: &Group) -> Question {
    let sizes = &group.block_sizes;
    let (lora, base) = match &group.adapter {
        Some(served) => (body.model, served.lora_of.as_deref()),
        None => (None, body.model),
    };
    let space = |block_tokens: u32| Namespace {
        seed: app.config.seed,
        block_tokens: block_tokens as usize,
        lora,
        salt: body.asked.cache_salt.as_deref(),
    };
    let tokens = match (app.config.policy, base) {
        (Policy::Kv, Some(base)) => tokens(app, body, base, &group.members).await,
        _ => None,
    };
    let keys: Made = match (&body.asked.input, tokens) {
        (Input::None, _) => Made::new(),
        (_, Some(tokens)) => token_keys(body.asked, &tokens, sizes, space),
        (_, None) => text_keys(body.asked, sizes, space),
    };
    Question::new(body.asked, body.bytes.len(), app.config.seed, keys)
}

/// Each replica with what it holds of the prompt, and its load.
pub(crate) fn weigh(app: &App, question: &Question, group: &Group) -> SmallVec<[Candidate; 8]> {
    let known = Known {
        index: app.fleet.index(),
        policy: app.config.policy,
        now: app.now(),
    };
    let replicas = group.replicas.iter().map(|replica| &**replica);
    question.weigh(known, &replicas)
}

/// The prompt's tokens as the engine makes them; `None` where that is not known.
async fn tokens(
    app: &App,
    body: &Body<'_>,
    base: &str,
    members: &[Arc<Member>],
) -> Option<Arc<[TokenId]>> {
    if body.asked.multimodal {
        return None;
    }
    if let Input::Tokens(lists) = &body.asked.input {
        return lists.first().map(|tokens| tokens.as_slice().into());
    }
    match here(app, body, base).await {
        Some(tokens) => Some(tokens),
        None => theirs(app, body.asked, members).await,
    }
}

/// Its tokens by the tokenizer in process, where there is one that is believed.
async fn here(app: &App, body: &Body<'_>, base: &str) -> Option<Arc<[TokenId]>> {
    let prompter = app.config.tokenizer_of(base)?;
    if !app.trust.is_sure(base, prompter) {
        return None;
    }
    let inline_bytes_max = app.config.limits.tokenize_inline_bytes;
    let source = (body.door, body.bytes);
    let made = onefill_question::tokens(prompter, body.asked, source, inline_bytes_max).await;
    made.ok()
}

/// Its tokens as an endpoint makes them: any whose cache is known exactly, since for others they would be
/// of no use.
async fn theirs(app: &App, asked: &Asked<'_>, members: &[Arc<Member>]) -> Option<Arc<[TokenId]>> {
    let useful = |member: &&Arc<Member>| {
        let status = member.replica.status();
        status.health == Health::Up && status.knowledge == Knowledge::Exact
    };
    let count = members.iter().filter(useful).count();
    let place = app.dice.throw().checked_rem(u64::try_from(count).ok()?)?;
    let mut useful = members.iter().filter(useful);
    let member = useful.nth(usize::try_from(place).ok()?)?;
    let request = remote::request(asked)?;
    let patience = app.config.timeouts.tokenize;
    let body = bytes::Bytes::from(request.body);
    let answer = app.fleet.ask(&member.replica, request.path, body, patience);
    Some(remote::read(request.path, &answer.await?).ok()?.into())
}
