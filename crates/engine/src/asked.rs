//! A request's body, read and made into what is to be computed.

use crate::{
    config::Adapter,
    refusal::Refusal,
    replica::Replica,
    sequence::{Finish, Plan},
    speech::Speech,
};
use onefill_kv::TokenId;
use onefill_prompt::{Asked, Door, Input, scan};
use serde::Deserialize;
use std::sync::Arc;

/// "`max_tokens`" of `/v1/completions` where the body says nothing.
const COMPLETION_TOKENS: usize = 16;

/// Fields that only a replica reads.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Options {
    stream_options: Option<StreamOptions>,
    ignore_eos: Option<bool>,
    return_token_ids: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StreamOptions {
    include_usage: Option<bool>,
}

/// How the answer is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wanted {
    pub(crate) door: Door,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    pub(crate) token_ids: bool,
}

/// A request that can be computed: a plan and a text for each of its prompts.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) wanted: Wanted,
    /// As the body names it.
    pub(crate) model: String,
    pub(crate) parts: Vec<(Plan, Speech)>,
}

/// Reads a body.
pub(crate) fn read(replica: &Replica, door: Door, body: &[u8]) -> Result<Job, Refusal> {
    let asked = scan(door, body).map_err(|error| Refusal::bad(error.to_string()))?;
    let options: Options =
        serde_json::from_slice(body).map_err(|error| Refusal::bad(error.to_string()))?;
    let model = asked.model.as_deref().unwrap_or(&replica.config.model);
    let lora = adapter(replica, model)?;
    let prompts = prompts(replica, &asked)?;
    let usage = options.stream_options.unwrap_or_default().include_usage;
    let goes_on = options.ignore_eos == Some(true);
    let plan = |prompt| plan(replica, (door, &asked, goes_on), prompt, lora);
    Ok(Job {
        wanted: Wanted {
            door,
            stream: asked.stream,
            include_usage: usage == Some(true),
            token_ids: options.return_token_ids == Some(true),
        },
        model: model.to_owned(),
        parts: prompts.into_iter().map(plan).collect::<Result<_, _>>()?,
    })
}

/// The adapter that a model's name stands for; none for the base model.
fn adapter<'r>(replica: &'r Replica, model: &str) -> Result<Option<&'r Arc<Adapter>>, Refusal> {
    let adapter = replica
        .adapters
        .iter()
        .find(|adapter| adapter.name == model);
    if adapter.is_none() && model != replica.config.model {
        return Err(Refusal::unknown_model(model));
    }
    Ok(adapter)
}

/// Tokens of each prompt.
pub(crate) fn prompts(replica: &Replica, asked: &Asked<'_>) -> Result<Vec<Vec<TokenId>>, Refusal> {
    let tokens = |asked: &Asked<'_>| {
        let tokens = replica.prompter.tokens(asked);
        tokens
            .map(|tokens| tokens.to_vec())
            .map_err(|error| Refusal::bad(error.to_string()))
    };
    match &asked.input {
        Input::Tokens(lists) => Ok(lists.clone()),
        Input::Text(texts) if texts.len() > 1 => {
            let one = |text: &std::borrow::Cow<'_, str>| {
                tokens(&Asked {
                    input: Input::Text(vec![text.as_ref().into()]),
                    special_tokens: asked.special_tokens,
                    ..Asked::default()
                })
            };
            texts.iter().map(one).collect()
        }
        _ => Ok(vec![tokens(asked)?]),
    }
}

fn plan(
    replica: &Replica,
    (door, asked, goes_on): (Door, &Asked<'_>, bool),
    prompt: Vec<TokenId>,
    lora: Option<&Arc<Adapter>>,
) -> Result<(Plan, Speech), Refusal> {
    let prompt_tokens = prompt.len();
    let room = replica.config.model_len().saturating_sub(prompt_tokens);
    if prompt_tokens == 0 {
        return Err(Refusal::bad("the prompt is empty".into()));
    }
    let most = match (door, asked.output_tokens_max) {
        (Door::Embeddings, _) => 0,
        (_, Some(most)) => most as usize,
        (Door::Completions, None) => COMPLETION_TOKENS.min(room),
        (_, None) => room,
    };
    let fits = if door == Door::Embeddings {
        prompt_tokens <= replica.config.model_len()
    } else {
        most >= 1 && most <= room
    };
    if !fits {
        return Err(Refusal::too_long(replica, prompt_tokens, most));
    }
    let salted = lora.map_or(0, |lora| u64::from(lora.number));
    let speech = Speech::of(&prompt, replica.config.seed ^ salted, most, goes_on);
    let speech = if most == 0 { speech.silent() } else { speech };
    let mut tokens = prompt;
    tokens.reserve_exact(speech.tokens);
    speech.append(&replica.vocabulary, &mut tokens);
    let salt = asked.cache_salt.as_deref();
    let plan = Plan {
        digests: replica.names.of(&tokens, lora.map(AsRef::as_ref), salt),
        tokens,
        prompt_tokens,
        lora: lora.cloned(),
        salt: salt.map(str::to_owned),
        finish: if speech.stops {
            Finish::Stop
        } else {
            Finish::Length
        },
    };
    Ok((plan, speech))
}
