//! Asking a replica for the tokens of a prompt: what to send, and how to read the answer.

use crate::{Asked, Door, Input, PromptError, TokenId, conversation::with_effort};
use serde_json::{Value as Json, json};

/// A request to a replica.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenRequest {
    /// Path to post to.
    pub path: &'static str,
    /// JSON body.
    pub body: Vec<u8>,
}

/// The request that makes a replica tokenize this prompt; `None` if there is nothing to ask
/// (token ids, no prompt, a shape that `/tokenize` doesn't take).
pub fn request(asked: &Asked<'_>) -> Option<TokenRequest> {
    let model = asked.model.as_deref();
    let body = match &asked.input {
        Input::Text(texts) => json!({
            "model": model,
            "prompt": texts.first()?,
            "add_special_tokens": asked.special_tokens,
        }),
        Input::Chat(chat) if chat.door == Door::Chat && !asked.multimodal => {
            let raw =
                |text: Option<&str>| text.and_then(|text| serde_json::from_str::<Json>(text).ok());
            let mut body = json!({
                "model": model,
                "messages": raw(Some(chat.messages))?,
                "add_generation_prompt": chat.add_generation_prompt,
                "continue_final_message": chat.continue_final_message,
            });
            // The path takes no effort of its own.
            let kwargs = raw(chat.template_kwargs).unwrap_or_default();
            let effort = raw(chat.reasoning_effort).unwrap_or_default();
            let kwargs = Some(with_effort(kwargs, effort));
            let kwargs = kwargs.filter(|kwargs| kwargs.as_object().is_some_and(|k| !k.is_empty()));
            let further = [
                ("tools", raw(chat.tools)),
                ("chat_template_kwargs", kwargs),
                (
                    "chat_template",
                    chat.template.as_ref().map(|text| json!(text)),
                ),
            ];
            for (name, value) in further {
                if let (Some(value), Some(fields)) = (value, body.as_object_mut()) {
                    fields.insert(name.into(), value);
                }
            }
            body
        }
        _ => return None,
    };
    Some(TokenRequest {
        path: "/tokenize",
        body: body.to_string().into_bytes(),
    })
}

/// Reads the answer to a request sent to `path`: "tokens" of `/tokenize`, "`token_ids`" of a render path.
pub fn read(path: &str, answer: &[u8]) -> Result<Vec<TokenId>, PromptError> {
    let wrong = || PromptError(format!("the answer of {path} has no tokens"));
    let json: Json = serde_json::from_slice(answer).map_err(|_| wrong())?;
    let tokens = json
        .get("tokens")
        .or_else(|| json.get("token_ids"))
        .ok_or_else(wrong)?;
    serde_json::from_value(tokens.clone()).map_err(|_| wrong())
}

/// Bodies on which tokenizers and templates differ first: blanks, digits, other scripts, turns. What
/// a replica makes of them is compared with what is made here.
pub fn probes(model: &str) -> [(Door, Vec<u8>); 2] {
    const TEXT: &str =
        "Hello,  world!\n\n\tIt's 12345.678 \u{e9}t\u{e9} \u{4f60}\u{597d} \u{1f600} <|x|>";
    let chat = json!({ "model": model, "messages": [
        { "role": "system", "content": "Be brief." },
        { "role": "user", "content": TEXT },
        { "role": "assistant", "content": " Yes.\n" },
        { "role": "user", "content": "And then? " },
    ]});
    let completion = json!({ "model": model, "prompt": TEXT });
    let body = |body: Json| body.to_string().into_bytes();
    [
        (Door::Chat, body(chat)),
        (Door::Completions, body(completion)),
    ]
}
