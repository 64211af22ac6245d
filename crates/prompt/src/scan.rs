//! One pass over a request's body: what the router needs of it, borrowed, nothing built anew.

use crate::{Asked, BodyError, Chat, Door, Input};
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// Values of the fields that matter, as they stand in the body. As in Python's decoder the last
/// of two equal names counts.
#[derive(Default)]
struct Fields<'a> {
    known: [Option<&'a RawValue>; NAMES.len()],
}

const NAMES: [&str; 23] = [
    "model",
    "cache_salt",
    "session_id",
    "user",
    "stream",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "messages",
    "prompt",
    "input",
    "system",
    "instructions",
    "tools",
    "chat_template_kwargs",
    "chat_template",
    "add_generation_prompt",
    "continue_final_message",
    "documents",
    "add_special_tokens",
    "previous_response_id",
    "prompt_embeds",
    "reasoning_effort",
];

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        let place = NAMES.iter().position(|known| *known == name)?;
        self.known
            .get(place)
            .copied()
            .flatten()
            .filter(|value| value.get() != "null")
    }

    fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name).and_then(text_of)
    }

    fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.get() == "true")
    }

    fn number(&self, name: &str) -> Option<u32> {
        self.get(name)?.get().parse().ok()
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(name) = map.next_key::<Name<'de>>()? {
            let place = NAMES.iter().position(|known| *known == name.0);
            match place.and_then(|place| fields.known.get_mut(place)) {
                Some(slot) => *slot = Some(map.next_value()?),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(fields)
    }
}

/// A field's name, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A JSON string; borrowed where it has no escapes.
fn text_of(value: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Name<'_>>(value.get())
        .ok()
        .map(|name| name.0)
}

/// Scans a body once, without building it anew.
pub fn scan(door: Door, body: &[u8]) -> Result<Asked<'_>, BodyError> {
    if door == Door::Other {
        return Ok(Asked::default());
    }
    let fields = read(body).map_err(|error| place_error(body, &error))?;
    let chat = || chat_of(door, &fields);
    let input = match door {
        Door::Chat | Door::Messages => Input::Chat(chat()),
        Door::Responses if fields.get("input").is_some() => Input::Chat(chat()),
        Door::Completions => plain(fields.get("prompt")),
        Door::Embeddings if fields.get("messages").is_some() => Input::Chat(chat()),
        Door::Embeddings => plain(fields.get("input")),
        Door::Responses | Door::Other => Input::None,
    };
    let limits = ["max_completion_tokens", "max_output_tokens", "max_tokens"];
    Ok(Asked {
        model: fields.text("model"),
        cache_salt: fields.text("cache_salt"),
        session: fields.text("session_id").or_else(|| fields.text("user")),
        stream: fields.is_true("stream"),
        output_tokens_max: limits.into_iter().find_map(|name| fields.number(name)),
        multimodal: is_multimodal(&fields),
        special_tokens: fields
            .get("add_special_tokens")
            .is_none_or(|value| value.get() != "false"),
        input,
    })
}

fn read(body: &[u8]) -> Result<Fields<'_>, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let fields = json.deserialize_map(FieldsVisitor)?;
    json.end()?;
    Ok(fields)
}

/// serde counts lines and columns; people and tools count bytes too.
fn place_error(body: &[u8], error: &serde_json::Error) -> BodyError {
    let lines = body.split_inclusive(|byte| *byte == b'\n');
    let before: usize = lines
        .take(error.line().saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    let offset = (before + error.column()).min(body.len());
    BodyError {
        offset,
        reason: format!("the body is not a JSON object as expected: {error}"),
    }
}

fn chat_of<'a>(door: Door, fields: &Fields<'a>) -> Chat<'a> {
    let raw = |name| fields.get(name).map(RawValue::get);
    Chat {
        door,
        messages: raw("messages").or_else(|| raw("input")).unwrap_or("[]"),
        system: raw("system").or_else(|| raw("instructions")),
        tools: raw("tools"),
        documents: raw("documents"),
        template: fields.text("chat_template"),
        template_kwargs: raw("chat_template_kwargs"),
        reasoning_effort: raw("reasoning_effort"),
        add_generation_prompt: fields
            .get("add_generation_prompt")
            .is_none_or(|value| value.get() != "false"),
        continue_final_message: fields.is_true("continue_final_message"),
        refers_back: raw("previous_response_id").is_some(),
    }
}

/// A prompt that is text, a list of texts, token ids, or a list of such lists.
fn plain(value: Option<&RawValue>) -> Input<'_> {
    let Some(raw) = value.map(RawValue::get) else {
        return Input::None;
    };
    if raw.starts_with('"') {
        return value
            .and_then(text_of)
            .map_or(Input::None, |text| Input::Text(vec![text]));
    }
    if let Ok(tokens) = serde_json::from_str::<Vec<u32>>(raw) {
        return Input::Tokens(vec![tokens]);
    }
    if let Ok(lists) = serde_json::from_str::<Vec<Vec<u32>>>(raw) {
        return Input::Tokens(lists);
    }
    match serde_json::from_str::<Vec<Name<'_>>>(raw) {
        Ok(texts) => Input::Text(texts.into_iter().map(|text| text.0).collect()),
        Err(_) => Input::None,
    }
}

/// Whether parts other than text are in the prompt. The types' names can't stand in JSON text
/// unescaped with their quotes, so a search of the raw messages is enough.
fn is_multimodal(fields: &Fields<'_>) -> bool {
    const PARTS: [&str; 9] = [
        "\"image_url\"",
        "\"input_image\"",
        "\"image_embeds\"",
        "\"input_audio\"",
        "\"audio_url\"",
        "\"video_url\"",
        "\"image\"",
        "\"image_pil\"",
        "\"input_file\"",
    ];
    let prompts = ["messages", "input"]
        .into_iter()
        .filter_map(|name| fields.get(name));
    fields.get("prompt_embeds").is_some()
        || prompts
            .map(RawValue::get)
            .any(|raw| raw.contains("\"type\"") && PARTS.iter().any(|part| raw.contains(part)))
}
