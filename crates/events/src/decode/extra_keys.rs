//! What besides tokens names a stored block.
//!
//! ```text
//! extra_keys  [nil | [entry..], ..]                 one for each block
//! entry       adapter's name                        in every block of its requests, first
//!             [image's identity, offset in block]
//!             salt                                  only in a chain's first block
//!             digest of prompt embeddings: bytes
//! ```
//!
//! Engines hash tagged forms of the same, `["lora", name, path]`, `["mm", identity, offset]`,
//! `["cache_salt", salt]` and `["prompt_embeds", digest]`: they are read too.

use super::{Fields, Read};
use crate::{
    Salt, StoredBlock,
    msgpack::{Cursor, Value},
};
use onefill_kv::{ContentHash, KeySeed};

/// Reads one event's extra keys.
pub(super) struct ExtraKeys<'a> {
    seed: KeySeed,
    lora: Option<&'a str>,
    /// The event's first block is its chain's first.
    starts_chain: bool,
    salt: Option<&'a str>,
    /// More than one text could be the salt.
    ambiguous: bool,
}

/// An entry, once read.
enum Entry<'a> {
    /// A name, a salt: which, its place tells.
    Text(&'a str),
    Lora,
    Salt(&'a str),
    /// The block's own: mixed into its content.
    Image(&'a str, i64),
    Own(&'a [u8]),
}

impl<'a> ExtraKeys<'a> {
    pub(super) fn new(fields: &Fields<'a>, seed: KeySeed) -> Self {
        Self {
            seed,
            lora: fields.lora,
            starts_chain: fields.parent.is_none(),
            salt: None,
            ambiguous: false,
        }
    }

    /// Mixes what is a block's own into its content, and tells the salt.
    pub(super) fn mix(mut self, keys: Cursor<'a>, blocks: &mut [StoredBlock]) -> Read<Salt<'a>> {
        let mut cursor = keys;
        let count = cursor.array()?;
        if count != blocks.len() {
            return keys.fail("extra_keys is not one for each block");
        }
        for (place, block) in blocks.iter_mut().enumerate() {
            if cursor.is_nil() {
                cursor.skip()?;
            } else {
                let may_be_salted = self.starts_chain && place == 0;
                self.block(&mut cursor, may_be_salted, &mut block.content)?;
            }
        }
        Ok(match self.ambiguous {
            true => Salt::Unknown,
            false => Salt::Known(self.salt),
        })
    }

    fn block(
        &mut self,
        cursor: &mut Cursor<'a>,
        may_be_salted: bool,
        content: &mut ContentHash,
    ) -> Read<()> {
        let entries = cursor.array()?;
        for place in 0..entries {
            match entry(cursor)? {
                Entry::Lora => (),
                Entry::Text(text) if place == 0 && Some(text) == self.lora => (),
                Entry::Salt(text) | Entry::Text(text) if may_be_salted => {
                    self.ambiguous |= self.salt.is_some();
                    self.salt = Some(text);
                }
                Entry::Salt(text) | Entry::Text(text) => self.own(content, text.as_bytes()),
                Entry::Own(bytes) => self.own(content, bytes),
                Entry::Image(identity, offset) => {
                    self.own(content, identity.as_bytes());
                    self.own(content, &offset.to_le_bytes());
                }
            }
        }
        Ok(())
    }

    fn own(&self, content: &mut ContentHash, bytes: &[u8]) {
        *content = self.seed.content_with(*content, bytes);
    }
}

fn entry<'a>(cursor: &mut Cursor<'a>) -> Read<Entry<'a>> {
    let start = *cursor;
    Ok(match cursor.value()? {
        Value::Text(text) => Entry::Text(start.utf8(text)?),
        Value::Bytes(digest) => Entry::Own(digest),
        Value::Array(parts) => {
            let known = list(cursor, parts);
            // Whatever it was, it ends where the list ends.
            *cursor = start;
            cursor.skip()?;
            known.unwrap_or_else(|| Entry::Own(start.until(cursor)))
        }
        _ => {
            *cursor = start;
            cursor.skip()?;
            Entry::Own(start.until(cursor))
        }
    })
}

/// A list's entry; `None`: of no known form.
fn list<'a>(cursor: &Cursor<'a>, parts: usize) -> Option<Entry<'a>> {
    let mut rest = *cursor;
    let mut next = || rest.value().ok();
    let text = |value: Value<'a>| match value {
        Value::Text(text) => std::str::from_utf8(text).ok(),
        _ => None,
    };
    let first = text(next()?)?;
    match (parts, first, next()?) {
        (2, "cache_salt", salt @ Value::Text(_)) => Some(Entry::Salt(text(salt)?)),
        (2, "prompt_embeds", Value::Bytes(digest)) => Some(Entry::Own(digest)),
        (2, identity, offset) => Some(Entry::Image(identity, offset.signed()?)),
        (3, "lora", Value::Text(_)) => Some(Entry::Lora),
        (3, "mm", identity) => Some(Entry::Image(text(identity)?, next()?.signed()?)),
        _ => None,
    }
}
