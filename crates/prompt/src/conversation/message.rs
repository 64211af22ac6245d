//! One message: the fields that templates see, in the order in which they see them.

use crate::{Door, PromptError};
use serde_json::{Map, Value as Json, json};

/// Fields of parts that mean something to vLLM; others of a text part are kept for the template.
const PART_FIELDS: [&str; 18] = [
    "audio_embeds",
    "audio_url",
    "closed",
    "data",
    "file",
    "image_embeds",
    "image_pil",
    "image_url",
    "input_audio",
    "name",
    "prompt_cache_breakpoint",
    "refusal",
    "text",
    "thinking",
    "type",
    "uuid",
    "video_embeds",
    "video_url",
];

/// Claude Code's line of the system prompt that changes with every request: vLLM drops it.
pub(super) const BILLING_HEADER: &str = "x-anthropic-billing-header";

fn of_the_replica<T>(what: &str) -> Result<T, PromptError> {
    Err(PromptError(format!("{what} rendered by the replica")))
}

/// A message as templates see it. `takes_parts`: content is a list of parts, else text.
pub(super) fn message(door: Door, given: Json, takes_parts: bool) -> Result<Json, PromptError> {
    let Json::Object(mut given) = given else {
        return Err(PromptError("a message is not an object".into()));
    };
    let kind = given.get("type").and_then(Json::as_str);
    if door != Door::Chat && kind.is_some_and(|kind| kind != "message") {
        return of_the_replica("items other than messages are");
    }
    let Some(Json::String(role)) = given.remove("role") else {
        return Err(PromptError("a message has no role".into()));
    };
    let parts = parts(&role, given.remove("content"))?;
    let mut seen = Map::new();
    seen.insert("role".into(), role.as_str().into());
    seen.insert("content".into(), content(door, &role, parts, takes_parts));
    match role.as_str() {
        "assistant" => assistant(&mut given, &mut seen)?,
        "tool" => {
            let id = given.remove("tool_call_id");
            seen.extend(id.map(|id| ("tool_call_id".to_owned(), id)));
        }
        _ => {}
    }
    for name in ["name", "task"] {
        let text = given.remove(name).filter(Json::is_string);
        seen.extend(text.map(|text| (name.to_owned(), text)));
    }
    if role == "developer" {
        seen.insert("tools".into(), given.remove("tools").unwrap_or_default());
    }
    Ok(Json::Object(seen))
}

/// A text, and what else its part says.
type Part = (String, Map<String, Json>);

fn parts(role: &str, content: Option<Json>) -> Result<Vec<Part>, PromptError> {
    let given = match content {
        None | Some(Json::Null) => Vec::new(),
        Some(Json::Array(parts)) => parts,
        Some(text @ Json::String(_)) => vec![text],
        Some(_) => return Err(PromptError("content is neither text nor parts".into())),
    };
    let mut parts = Vec::new();
    for one in given {
        parts.extend(part(one)?);
    }
    if role == "system" {
        parts = parts.into_iter().filter_map(without_billing).collect();
    }
    Ok(parts)
}

/// `None`: a part that says nothing.
fn part(given: Json) -> Result<Option<Part>, PromptError> {
    let mut fields = match given {
        Json::String(text) => return Ok(Some((text, Map::new()))),
        Json::Object(fields) => fields,
        _ => return Err(PromptError("a part is neither text nor an object".into())),
    };
    let kind = fields.shift_remove("type");
    let field = match kind.as_ref().and_then(Json::as_str) {
        Some("text" | "input_text" | "output_text") => "text",
        Some("refusal") => "refusal",
        Some("thinking") => "thinking",
        _ => return of_the_replica("parts that are no text are"),
    };
    if fields.get("uuid").is_some_and(|uuid| !uuid.is_null()) {
        return of_the_replica("parts with an identity are");
    }
    match fields.shift_remove(field) {
        Some(Json::String(text)) => {
            fields.retain(|name, _| !PART_FIELDS.contains(&name.as_str()));
            Ok(Some((text, fields)))
        }
        None | Some(Json::Null) => Ok(None),
        Some(_) => Err(PromptError("a part's text is not text".into())),
    }
}

fn without_billing((text, further): Part) -> Option<Part> {
    if !text.starts_with(BILLING_HEADER) {
        return Some((text, further));
    }
    let (_, rest) = text.split_once('\n')?;
    (!rest.is_empty()).then(|| (rest.to_owned(), further))
}

fn content(door: Door, role: &str, parts: Vec<Part>, takes_parts: bool) -> Json {
    // Most templates take a tool's answer as text only.
    if takes_parts && role != "tool" {
        let as_object = |(text, further): Part| {
            let mut part = Map::new();
            part.insert("type".into(), "text".into());
            part.insert("text".into(), text.into());
            part.extend(further);
            Json::Object(part)
        };
        return parts.into_iter().map(as_object).collect();
    }
    // Where all is text, an empty part leaves no line; a tool's parts are joined as they are.
    let texts = parts.into_iter().map(|(text, _)| text);
    let texts = texts.filter(|text| takes_parts || !text.is_empty());
    let texts: Vec<String> = texts.collect();
    let between = if door == Door::Messages { "" } else { "\n" };
    texts.join(between).into()
}

fn assistant(
    given: &mut Map<String, Json>,
    seen: &mut Map<String, Json>,
) -> Result<(), PromptError> {
    match given.remove("tool_calls") {
        None | Some(Json::Null) => {}
        Some(Json::Array(calls)) if calls.is_empty() => {}
        Some(Json::Array(calls)) => {
            let calls = calls.into_iter().map(tool_call);
            seen.insert("tool_calls".into(), calls.collect::<Result<Json, _>>()?);
        }
        Some(_) => return Err(PromptError("tool_calls is not a list".into())),
    }
    let mut given_reasoning = |name| given.remove(name).filter(|value| !value.is_null());
    let reasoning = given_reasoning("reasoning").or_else(|| given_reasoning("reasoning_content"));
    if let Some(reasoning) = reasoning {
        seen.insert("reasoning".into(), reasoning.clone());
        seen.insert("reasoning_content".into(), reasoning);
    }
    Ok(())
}

/// A call's arguments come as JSON text; templates expect the object.
fn tool_call(given: Json) -> Result<Json, PromptError> {
    let Json::Object(mut call) = given else {
        return Err(PromptError("a tool call is not an object".into()));
    };
    let of_function = call.get("type").is_none_or(|kind| kind == "function");
    let Some(Json::Object(mut function)) = call.shift_remove("function") else {
        return Err(PromptError("a tool call has no function".into()));
    };
    if !of_function {
        return Err(PromptError("a tool call is no function's".into()));
    }
    let as_usual = call.contains_key("id") && call.contains_key("type");
    let arguments = function.shift_remove("arguments").unwrap_or_default();
    if !as_usual || !arguments.is_string() {
        // Another model of vLLM's takes it, which keeps the client's order.
        return of_the_replica("tool calls of an unusual form are");
    }
    let mut ordered = Map::new();
    ordered.insert("arguments".into(), object_of(&arguments));
    ordered.extend(
        ["name"]
            .iter()
            .filter_map(|name| function.shift_remove_entry(*name)),
    );
    ordered.extend(function);
    let mut seen = Map::new();
    seen.extend(call.shift_remove_entry("id"));
    seen.insert("function".into(), ordered.into());
    seen.extend(call.shift_remove_entry("type"));
    seen.extend(call);
    Ok(seen.into())
}

/// What is no object becomes an empty one: it stands in a history that nobody can change.
fn object_of(arguments: &Json) -> Json {
    let parsed = arguments.as_str().map(serde_json::from_str::<Json>);
    match parsed {
        Some(Ok(object @ Json::Object(_))) => object,
        _ => json!({}),
    }
}
