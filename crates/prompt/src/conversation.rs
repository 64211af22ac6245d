//! A chat body as vLLM 0.32 hands it to the chat template: what its request model keeps
//! (`ChatCompletionRequest`), what its renderer makes of it (`vllm/renderers/chat_utils.py`,
//! `vllm/renderers/hf.py`). Clients may write more, and in another order, than templates see.

mod message;
mod plain;

use crate::{
    Chat, Door, PromptError,
    template::{Conversation, Messages, Template},
};
use message::message;
use serde_json::{Map, Value as Json, json};

/// Builds what a template is given.
pub(crate) fn conversation(
    chat: &Chat<'_>,
    template: &Template,
) -> Result<Conversation, PromptError> {
    let optional = |raw: Option<&str>| raw.map_or(Ok(Json::Null), read);
    if chat.refers_back || chat.template.is_some() {
        return Err(PromptError(
            "only the replica knows this conversation or template".into(),
        ));
    }
    if chat.door != Door::Chat && chat.tools.is_some() {
        return Err(PromptError(
            "tools of this door are rendered by the replica".into(),
        ));
    }
    Ok(Conversation {
        messages: match plain::messages(chat, template) {
            Some(messages) => Messages::Plain(messages),
            None => Messages::Json(messages(chat, template)?),
        },
        tools: tools(optional(chat.tools)?)?,
        documents: optional(chat.documents)?,
        kwargs: kwargs(chat)?,
        add_generation_prompt: chat.add_generation_prompt,
    })
}

fn read(raw: &str) -> Result<Json, PromptError> {
    serde_json::from_str::<Json>(raw).map_err(|error| PromptError(error.to_string()))
}

fn messages(chat: &Chat<'_>, template: &Template) -> Result<Json, PromptError> {
    let mut messages = Vec::new();
    let system = chat.system.map_or(Ok(Json::Null), read)?;
    if let Some(system) = system_message(&system) {
        messages.push(system);
    }
    match read(chat.messages)? {
        Json::Array(given) => {
            for one in given {
                messages.push(message(chat.door, one, template.takes_parts)?);
            }
        }
        Json::String(text) => messages.push(json!({"role": "user", "content": text})),
        _ => return Err(PromptError("messages is not a list".into())),
    }
    let is_developer = |message: &Json| message["role"] == "developer";
    if !template.knows_developer && messages.iter().any(is_developer) {
        messages = with_one_system_message(messages);
    }
    Ok(messages.into())
}

/// "system" of `/v1/messages` (text or text parts), "instructions" of `/v1/responses`.
fn system_message(system: &Json) -> Option<Json> {
    let text = match system {
        Json::String(text) => text.clone(),
        Json::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect::<Vec<_>>()
            .join(""),
        _ => return None,
    };
    Some(json!({"role": "system", "content": text}))
}

/// For a template that knows no developer: a developer's message is a system's, and all of these
/// become one, the first.
fn with_one_system_message(messages: Vec<Json>) -> Vec<Json> {
    let mut systems = Vec::new();
    let mut others = Vec::new();
    for mut message in messages {
        match message["role"].as_str() {
            Some("system") => systems.push(message),
            Some("developer") => {
                message["role"] = "system".into();
                if let Some(fields) = message.as_object_mut() {
                    fields.shift_remove("tools");
                }
                systems.push(message);
            }
            _ => others.push((others.len() + systems.len(), message)),
        }
    }
    // One that is first already stays as it is, parts and all.
    let first_only = systems.len() == 1 && others.first().is_none_or(|(place, _)| *place > 0);
    let others = others.into_iter().map(|(_, message)| message);
    if first_only {
        return systems.into_iter().chain(others).collect();
    }
    let texts = systems.iter().map(|system| text_of(&system["content"]));
    let texts: Vec<String> = texts.filter(|text| !text.is_empty()).collect();
    let merged = json!({"role": "system", "content": texts.join("\n\n")});
    std::iter::once(merged).chain(others).collect()
}

fn text_of(content: &Json) -> String {
    let parts = content.as_array().map(Vec::as_slice).unwrap_or_default();
    let texts: Vec<&str> = match content {
        Json::String(text) => vec![text],
        _ => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect(),
    };
    texts.join("\n")
}

/// `ChatCompletionToolsParam.model_dump()`: known fields only, in its order, null where not given.
fn tools(given: Json) -> Result<Json, PromptError> {
    let Json::Array(tools) = given else {
        return Ok(Json::Null);
    };
    tools.into_iter().map(tool).collect()
}

fn tool(mut given: Json) -> Result<Json, PromptError> {
    let kind = given["type"].as_str().unwrap_or("function");
    let deferred = ["/defer_loading", "/function/defer_loading"]
        .iter()
        .any(|place| given.pointer(place).is_some_and(|value| !value.is_null()));
    let function = given["function"].is_object() && given["function"]["name"].is_string();
    if kind != "function" || deferred || !function {
        return Err(PromptError("a tool of an unknown form".into()));
    }
    let mut function = given["function"].take();
    let mut dumped = Map::new();
    for name in ["name", "description", "parameters", "strict"] {
        let value = function.get_mut(name).map(Json::take).unwrap_or_default();
        if name != "strict" || !value.is_null() {
            dumped.insert(name.into(), value);
        }
    }
    Ok(json!({"type": "function", "function": dumped}))
}

fn kwargs(chat: &Chat<'_>) -> Result<Json, PromptError> {
    let given = chat.template_kwargs.map_or(Ok(Json::Null), read)?;
    let effort = chat.reasoning_effort.map_or(Ok(Json::Null), read)?;
    Ok(with_effort(given, effort))
}

/// `chat_template_kwargs` with what a reasoning effort says to templates.
pub(crate) fn with_effort(kwargs: Json, effort: Json) -> Json {
    let mut kwargs = match kwargs {
        Json::Object(kwargs) => kwargs,
        _ => Map::new(),
    };
    if !effort.is_null() {
        let thinks = effort != "none";
        kwargs
            .entry("enable_thinking")
            .or_insert_with(|| thinks.into());
        kwargs.insert("reasoning_effort".into(), effort);
    }
    Json::Object(kwargs)
}
