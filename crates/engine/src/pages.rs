//! Paths beside the doors: what the replica is, how it is, and what is to go wrong.

use crate::{
    asked,
    faults::Order,
    refusal::Refusal,
    replica::Replica,
    serve::{Answer, json, ready},
};
use http::{Method, StatusCode};
use onefill_prompt::{Door, scan};
use serde_json::{Map, Value as Json, json as value};
use std::sync::atomic::Ordering::Relaxed;
use tokio::time::Instant;

/// The release whose behaviour is simulated.
const VERSION: &str = "0.32.0";

pub(crate) fn page(
    replica: &Replica,
    method: &Method,
    (path, query): (&str, Option<&str>),
    body: &[u8],
) -> Result<Answer, Refusal> {
    let ok = |page: &Json| Ok(json(StatusCode::OK, page));
    match (method.as_str(), path) {
        ("GET", "/health") | ("GET" | "POST", "/ping") => {
            Ok(ready(StatusCode::OK, "text/plain", ""))
        }
        ("GET", "/version") => ok(&value!({"version": VERSION})),
        ("GET", "/load") => ok(&value!({"server_load": replica.load.load(Relaxed)})),
        ("GET", "/v1/models") => ok(&models(replica)),
        ("GET", "/kv_event_sources") => ok(&event_sources(replica)),
        ("GET", "/metrics") => {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            Ok(ready(StatusCode::OK, kind, replica.metrics()))
        }
        ("POST", "/tokenize") => ok(&tokenized(replica, body)?),
        ("POST", "/v1/chat/completions/render") => ok(&rendered(replica, body)?),
        ("POST", "/reset_prefix_cache") => {
            // vLLM answers 200 either way.
            if !replica.reset() {
                tracing::warn!("the prefix cache is in use and was not reset");
            }
            Ok(ready(StatusCode::OK, "text/plain", ""))
        }
        ("POST", "/fault") => {
            let order: Order =
                serde_json::from_slice(body).map_err(|error| Refusal::bad(error.to_string()))?;
            replica.order(&order);
            faults(replica)
        }
        ("GET", "/fault") => faults(replica),
        ("GET", "/debug/blocks") => ok(&value!({"cached_blocks": replica.cached_blocks()})),
        ("POST", "/debug/blocks") => ok(&held(replica, query, body)?),
        _ => Err(Refusal::unknown_path()),
    }
}

fn faults(replica: &Replica) -> Result<Answer, Refusal> {
    let left = replica.faults().left(Instant::now());
    let page = serde_json::to_value(left).map_err(|error| Refusal::bad(error.to_string()))?;
    Ok(json(StatusCode::OK, &page))
}

/// How many tokens of a request's prompt would come from the cache; nothing is computed or
/// touched. `?path=` names the door that the body is for.
fn held(replica: &Replica, query: Option<&str>, body: &[u8]) -> Result<Json, Refusal> {
    let path = query.and_then(|query| query.strip_prefix("path="));
    let job = asked::read(replica, path.map_or(Door::Chat, Door::of), body)?;
    let block_tokens = replica.config.cache.block_tokens as usize;
    let cached = job.parts.first().map_or(0, |(plan, _)| {
        let usable = plan.prompt_tokens.saturating_sub(1) / block_tokens.max(1);
        replica.held(&plan.digests).min(usable) * block_tokens
    });
    Ok(value!({"cached_tokens": cached}))
}

fn models(replica: &Replica) -> Json {
    let base = &replica.config.model;
    let length = replica.config.model_len();
    let mut models = vec![value!({
        "id": base, "object": "model", "created": 0, "owned_by": "vllm", "root": base,
        "parent": null, "max_model_len": length, "permission": [],
    })];
    models.extend(replica.adapters.iter().map(|adapter| {
        value!({
            "id": adapter.name, "object": "model", "created": 0, "owned_by": "vllm",
            "root": adapter.path, "parent": base, "max_model_len": null, "permission": [],
        })
    }));
    value!({"object": "list", "data": models})
}

fn event_sources(replica: &Replica) -> Json {
    let events = replica.config.events.as_ref();
    let mut sources = Map::new();
    if let (Some(events), Some(addresses)) = (events, &replica.addresses) {
        let source = value!({
            "enable_kv_cache_events": true,
            "publisher": "zmq",
            "endpoint": addresses.events,
            "replay_endpoint": addresses.replay,
            "buffer_steps": events.buffer_batches,
            "hwm": 100_000,
            "max_queue_size": 100_000,
            "topic": events.topic,
        });
        sources.insert("0".into(), source);
    }
    sources.into()
}

/// `/tokenize` takes a text ("prompt") or a chat ("messages").
fn tokenized(replica: &Replica, body: &[u8]) -> Result<Json, Refusal> {
    let fields: Map<String, Json> =
        serde_json::from_slice(body).map_err(|error| Refusal::bad(error.to_string()))?;
    let door = if fields.contains_key("messages") {
        Door::Chat
    } else {
        Door::Completions
    };
    let tokens = tokens(replica, door, body)?;
    Ok(value!({
        "count": tokens.len(),
        "max_model_len": replica.config.model_len(),
        "tokens": tokens,
        "token_strs": null,
    }))
}

fn rendered(replica: &Replica, body: &[u8]) -> Result<Json, Refusal> {
    let tokens = tokens(replica, Door::Chat, body)?;
    Ok(value!({"model": replica.config.model, "token_ids": tokens}))
}

fn tokens(replica: &Replica, door: Door, body: &[u8]) -> Result<Vec<u32>, Refusal> {
    let asked = scan(door, body).map_err(|error| Refusal::bad(error.to_string()))?;
    let mut prompts = asked::prompts(replica, &asked)?;
    Ok(if prompts.is_empty() {
        Vec::new()
    } else {
        prompts.swap_remove(0)
    })
}
