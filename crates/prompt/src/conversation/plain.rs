//! The usual chat: every message is a role and a text. It becomes what [`super::message`] would make
//! of it, without a tree of JSON in between: a long chat's messages are read again with every turn.

use super::message::BILLING_HEADER;
use crate::{
    Chat, Door,
    template::{PlainMessage, Template},
};
use minijinja::Value;
use serde::Deserialize;
use std::borrow::Cow;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow)]
    content: Cow<'a, str>,
}

/// The messages; `None`: there is more to them than texts.
pub(super) fn messages(chat: &Chat<'_>, template: &Template) -> Option<Vec<PlainMessage>> {
    if chat.door != Door::Chat || template.takes_parts || chat.system.is_some() {
        return None;
    }
    let given: Vec<Message<'_>> = serde_json::from_str(chat.messages).ok()?;
    given.iter().map(plain).collect()
}

fn plain(given: &Message<'_>) -> Option<PlainMessage> {
    let is_special = match given.role.as_ref() {
        "developer" => true,
        "system" => given.content.starts_with(BILLING_HEADER),
        _ => false,
    };
    (!is_special).then(|| PlainMessage {
        role: Value::from(given.role.as_ref()),
        content: Value::from(given.content.as_ref()),
    })
}
