//! Another model's name in a request's body, and the client's again in its answer.

use bytes::{Bytes, BytesMut};
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// The body with `model` as its model, all other bytes as they were; `None` where it has none.
pub fn rename_request(body: &Bytes, model: &str) -> Option<Bytes> {
    let value = model_value(body)?;
    let start = value.as_ptr() as usize - body.as_ptr() as usize;
    let (before, rest) = body.split_at_checked(start)?;
    let after = rest.get(value.len()..)?;
    let quoted = quoted(model);
    let mut renamed = BytesMut::with_capacity(before.len() + quoted.len() + after.len());
    for part in [before, quoted.as_bytes(), after] {
        renamed.extend_from_slice(part);
    }
    Some(renamed.freeze())
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The value of the last top-level "model", as it stands in the body.
fn model_value(body: &[u8]) -> Option<&str> {
    struct Model;
    impl<'de> Visitor<'de> for Model {
        type Value = Option<&'de RawValue>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut model = None;
            while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                if name == "model" {
                    model = Some(map.next_value()?);
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(model)
        }
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    json.deserialize_map(Model).ok()?.map(RawValue::get)
}

/// Puts the client's name for the model in place of the replica's, in an answer that comes in any
/// pieces: `"model":"TARGET"` and `"model": "TARGET"`.
///
/// What may be the beginning of such a place is held back until the next piece tells: at most as many
/// bytes as the place is long.
#[derive(Clone, Debug)]
pub struct Renamer {
    places: [Vec<u8>; 2],
    instead: [Vec<u8>; 2],
    held: BytesMut,
}

impl Renamer {
    /// From `target`, the replica's name, to `client`'s.
    pub fn new(target: &str, client: &str) -> Self {
        let (target, client) = (quoted(target), quoted(client));
        let both = |name: &str| {
            ["\"model\":", "\"model\": "].map(|before| format!("{before}{name}").into_bytes())
        };
        Self {
            places: both(&target),
            instead: both(&client),
            held: BytesMut::new(),
        }
    }

    /// The next piece, as the client reads it.
    pub fn push(&mut self, piece: &Bytes) -> Bytes {
        let text = if self.held.is_empty() {
            piece.clone()
        } else {
            let mut text = std::mem::take(&mut self.held);
            text.extend_from_slice(piece);
            text.freeze()
        };
        let mut out = BytesMut::new();
        let mut from = 0;
        while let Some((at, which)) = self.find(&text[from..]) {
            out.extend_from_slice(&text[from..from + at]);
            out.extend_from_slice(&self.instead[which]);
            from += at + self.places[which].len();
        }
        let keep = self.may_begin(&text[from..]);
        self.held.extend_from_slice(&text[text.len() - keep..]);
        let rest = text.slice(from..text.len() - keep);
        if out.is_empty() {
            return rest; // the usual piece is passed on as it is
        }
        out.extend_from_slice(&rest);
        out.freeze()
    }

    /// What was held back, at the end.
    pub fn end(&mut self) -> Bytes {
        std::mem::take(&mut self.held).freeze()
    }

    fn find(&self, text: &[u8]) -> Option<(usize, usize)> {
        let found =
            self.places.iter().enumerate().filter_map(|(which, place)| {
                memchr::memmem::find(text, place).map(|at| (at, which))
            });
        found.min()
    }

    /// Bytes at the end of `text` with which one of the places may begin.
    fn may_begin(&self, text: &[u8]) -> usize {
        let longest = |place: &Vec<u8>| {
            let most = (place.len() - 1).min(text.len());
            let begins = |length: &usize| text.ends_with(&place[..*length]);
            (1..=most).rev().find(begins).unwrap_or(0)
        };
        self.places.iter().map(longest).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
