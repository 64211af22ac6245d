//! A chat body's messages, as vLLM hands them to the chat template
//! (`vllm/entrypoints/chat_utils.py`).

use crate::{Chat, Door, PromptError, template::Conversation};
use serde_json::{Map, Value as Json, json};

/// Builds what a template is given.
pub(crate) fn conversation(
    chat: &Chat<'_>,
    takes_parts: bool,
) -> Result<Conversation, PromptError> {
    let read = |raw: &str| {
        serde_json::from_str::<Json>(raw).map_err(|error| PromptError(error.to_string()))
    };
    let optional = |raw: Option<&str>| raw.map_or(Ok(Json::Null), read);
    if chat.refers_back || chat.template.is_some() {
        return Err(PromptError(
            "only the replica knows this conversation or template".into(),
        ));
    }
    let mut messages = Vec::new();
    if let Some(system) = system_message(&optional(chat.system)?) {
        messages.push(system);
    }
    match read(chat.messages)? {
        Json::Array(given) => {
            for message in given {
                messages.push(one_message(chat.door, message, takes_parts)?);
            }
        }
        Json::String(text) => messages.push(json!({"role": "user", "content": text})),
        _ => return Err(PromptError("messages is not a list".into())),
    }
    if chat.door != Door::Chat && chat.tools.is_some() {
        return Err(PromptError(
            "tools of this door are rendered by the replica".into(),
        ));
    }
    let kwargs = optional(chat.template_kwargs)?;
    Ok(Conversation {
        messages: Json::Array(messages),
        tools: optional(chat.tools)?,
        documents: optional(chat.documents)?,
        kwargs: if kwargs.is_object() {
            kwargs
        } else {
            json!({})
        },
        add_generation_prompt: chat.add_generation_prompt,
    })
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

fn one_message(door: Door, message: Json, takes_parts: bool) -> Result<Json, PromptError> {
    let Json::Object(mut message) = message else {
        return Err(PromptError("a message is not an object".into()));
    };
    if door != Door::Chat {
        let kind = message
            .get("type")
            .and_then(Json::as_str)
            .unwrap_or("message");
        if kind != "message" {
            return Err(PromptError(format!(
                "items of type {kind} are rendered by the replica"
            )));
        }
        message.remove("type");
    }
    let content = message.remove("content");
    let content = content_of(door, content, takes_parts)?;
    // vLLM puts role first and content second; templates that print a message show the order.
    let role = message.remove("role").unwrap_or(Json::Null);
    let mut ordered = Map::new();
    ordered.insert("role".into(), role);
    if let Some(content) = content {
        ordered.insert("content".into(), content);
    }
    parse_arguments(&mut message)?;
    ordered.extend(message.into_iter().filter(|(_, value)| !value.is_null()));
    Ok(Json::Object(ordered))
}

fn content_of(
    door: Door,
    content: Option<Json>,
    takes_parts: bool,
) -> Result<Option<Json>, PromptError> {
    let parts = match content {
        Some(Json::Array(parts)) => parts,
        Some(Json::String(text)) if takes_parts => {
            return Ok(Some(json!([{"type": "text", "text": text}])));
        }
        other => return Ok(other),
    };
    let mut texts = Vec::new();
    for part in parts {
        let kind = part["type"].as_str().unwrap_or("text");
        let text = match (&part, part["text"].as_str()) {
            (Json::String(text), _) => text.clone(),
            (_, Some(text)) if matches!(kind, "text" | "input_text" | "output_text") => {
                text.to_owned()
            }
            _ => {
                return Err(PromptError(format!(
                    "parts of type {kind} are rendered by the replica"
                )));
            }
        };
        texts.push(text);
    }
    if takes_parts {
        let parts = texts
            .into_iter()
            .map(|text| json!({"type": "text", "text": text}));
        return Ok(Some(Json::Array(parts.collect())));
    }
    let between = if door == Door::Messages { "" } else { "\n" };
    Ok(Some(Json::String(texts.join(between))))
}

/// A tool call's arguments come as JSON text; templates expect the object.
fn parse_arguments(message: &mut Map<String, Json>) -> Result<(), PromptError> {
    let Some(Json::Array(calls)) = message.get_mut("tool_calls") else {
        return Ok(());
    };
    for call in calls {
        let Some(arguments) = call.pointer_mut("/function/arguments") else {
            continue;
        };
        let Some(text) = arguments.as_str() else {
            continue;
        };
        let text = if text.is_empty() { "{}" } else { text };
        *arguments = serde_json::from_str(text)
            .map_err(|error| PromptError(format!("a tool call's arguments: {error}")))?;
    }
    Ok(())
}
