//! What the fuzz targets `bodies` and `templates` promise.

#[cfg(test)]
mod tests;

use crate::{
    Asked, Door, Input, Namespace, Prompter, conversation::conversation, remote, scan,
    template::Template, text_keys,
};
use onefill_kv::KeySeed;
use serde::de::IgnoredAny;
use serde_json::{Map, Value as Json};
use std::{borrow::Cow, sync::LazyLock};

const DOORS: [Door; 5] = [
    Door::Chat,
    Door::Completions,
    Door::Responses,
    Door::Messages,
    Door::Embeddings,
];

/// Any body at any door: no panic; taken if and only if it is one JSON object; and what was read
/// of it is what `serde_json` reads.
pub fn bodies(body: &[u8]) {
    // A parser that looks at no value: also numbers beyond any and broken text of fields that
    // nobody here reads are the replica's matter.
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let taken = is_object && serde_json::from_slice::<IgnoredAny>(body).is_ok();
    let known = match serde_json::from_slice::<Json>(body) {
        Ok(Json::Object(fields)) => Some(fields),
        _ => None,
    };
    for door in DOORS {
        match scan(door, body) {
            Ok(asked) => {
                assert!(taken, "{door:?}");
                if let Some(fields) = &known {
                    agrees(&asked, fields);
                    prompt_agrees(door, &asked, fields);
                }
                turned_into_keys(&asked);
            }
            Err(error) => {
                assert!(known.is_none(), "{door:?}: {error}");
                assert!(error.offset <= body.len(), "{error}");
            }
        }
    }
}

/// `serde_json` takes this name for a sign of its own: what it reads is then not what stands there.
const SIGN: &str = "$serde_json::private::RawValue";

fn agrees(asked: &Asked<'_>, fields: &Map<String, Json>) {
    if fields.contains_key(SIGN) {
        return;
    }
    let text = |name: &str| fields.get(name).and_then(Json::as_str);
    assert_eq!(asked.model.as_deref(), text("model"));
    assert_eq!(asked.cache_salt.as_deref(), text("cache_salt"));
    let session = text("session_id").or_else(|| text("user"));
    assert_eq!(asked.session.as_deref(), session);
    let stream = fields.get("stream") == Some(&Json::Bool(true));
    assert_eq!(asked.stream, stream);
}

fn prompt_agrees(door: Door, asked: &Asked<'_>, fields: &Map<String, Json>) {
    let prompt = match door {
        Door::Completions => &fields.get("prompt"),
        Door::Embeddings if !matches!(asked.input, Input::Chat(_)) => &fields.get("input"),
        _ => return,
    };
    match (&asked.input, prompt) {
        (Input::Text(texts), Some(Json::String(text))) => assert_eq!(texts, &[text.as_str()]),
        (Input::Text(texts), Some(Json::Array(given))) => {
            let given = given.iter().filter_map(Json::as_str);
            assert!(texts.iter().map(Cow::as_ref).eq(given));
        }
        (Input::Tokens(lists), Some(Json::Array(_))) => assert!(
            !lists.is_empty()
                || fields.contains_key(SIGN)
                || prompt == &Some(&Json::Array(Vec::new()))
        ),
        (Input::None, given) => assert!(!matches!(given, Some(Json::String(_)))),
        (input, given) => assert!(fields.contains_key(SIGN), "{input:?} of {given:?}"),
    }
}

/// Whatever was asked has keys or a reason why not.
fn turned_into_keys(asked: &Asked<'_>) {
    static SIMULATED: LazyLock<Prompter> = LazyLock::new(Prompter::simulated);
    let space = Namespace {
        seed: KeySeed(1),
        block_tokens: 2,
        lora: None,
        salt: asked.cache_salt.as_deref(),
    };
    let text = text_keys(asked, space);
    assert!(text.chain.len() * space.block_tokens <= text.prompt_tokens as usize);
    if let Ok(keyed) = SIMULATED.keys(asked, space) {
        assert!(keyed.chain.len() * space.block_tokens <= keyed.prompt_tokens as usize);
    }
    if let Some(request) = remote::request(asked) {
        let sent = serde_json::from_slice::<Json>(&request.body);
        assert!(sent.is_ok_and(|sent| sent.is_object()));
    }
}

/// Fuel of a template while it is fuzzed: less than in use, so that more are tried.
pub const FUEL: u64 = 100_000;
/// Parts a chat template from the body that it renders.
pub const BETWEEN: &str = "\n%%%\n";
/// What is rendered where the bytes have no body.
const BODY: &str = r#"{"messages":[{"role":"system","content":"be brief"},
    {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
    {"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function",
        "function":{"name":"f","arguments":"{\"x\": [1.5, null]}"}}]}],
    "tools":[{"type":"function","function":{"name":"f","parameters":{}}}]}"#;

/// Any template with any chat: no panic, and an end. Gives the rendered text's length.
pub fn templates(bytes: &[u8]) -> usize {
    let text = String::from_utf8_lossy(bytes);
    let (source, body) = text.split_once(BETWEEN).unwrap_or((&text, BODY));
    let special_tokens = [("bos_token".to_owned(), "<s>".to_owned())].into();
    let Ok(template) = Template::new(source, special_tokens) else {
        return 0;
    };
    let Ok(asked) = scan(Door::Chat, body.as_bytes()) else {
        return 0;
    };
    let Input::Chat(chat) = &asked.input else {
        return 0;
    };
    let Ok(conversation) = conversation(chat, &template) else {
        return 0;
    };
    let template = template.with_fuel(FUEL);
    let rendered = if chat.continue_final_message {
        template.render_continued(conversation)
    } else {
        template.render(&conversation)
    };
    rendered.map_or(0, |text| text.len())
}
