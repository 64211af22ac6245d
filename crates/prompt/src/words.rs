//! Text to tokens word by word, for tokenizers of which that is known to be exact.
//!
//! Byte-level BPE first splits a text by a pattern, then each piece alone becomes tokens. All
//! patterns in [`PATTERNS`] end a piece between a lower-case ASCII letter and a space that another
//! such letter follows: letters are matched greedily and never together with a space behind them, a
//! space that letters follow begins their piece, and nothing looks back. So a text may be cut
//! there, and the tokens of a part that was seen before are remembered: people use few words.

use crate::PromptError;
use hashbrown::HashMap;
use onefill_kv::TokenId;
use parking_lot::RwLock;
use serde_json::Value as Json;
use smallvec::SmallVec;
use tokenizers::{ModelWrapper, Tokenizer};
use xxhash_rust::xxh3::xxh3_128;

/// Parts remembered: 16 MiB. When they are full it is begun anew.
const PARTS_MAX: usize = 1 << 18;
/// Longer parts are seldom seen twice.
const PART_BYTES_MAX: usize = 64;

/// Patterns that pre-tokenizers split by, as `tokenizer.json` writes them.
const PATTERNS: [&str; 10] = [
    // cl100k, Llama 3
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    // Qwen 2, Qwen 3
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    // Qwen 3.5
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    // o200k, gpt-oss
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    // Tekken (Mistral)
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    // GPT-2, written out
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    // DeepSeek V3: three patterns, one after the other
    r"\p{N}{1,3}",
    "[一-龥\u{3040}-ゟ゠-ヿ]+",
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##,
];

type Ids = SmallVec<[TokenId; 4]>;

/// Parts seen lately, with their tokens.
#[derive(Default)]
pub(crate) struct Words {
    known: RwLock<HashMap<u128, Ids>>,
}

impl Words {
    /// `None` where it is not known that texts may be cut at words.
    pub(crate) fn of(tokenizer: &Tokenizer) -> Option<Self> {
        let ModelWrapper::BPE(model) = tokenizer.get_model() else {
            return None;
        };
        let normalizer = serde_json::to_value(tokenizer.get_normalizer()).ok()?;
        let splits = serde_json::to_value(tokenizer.get_pre_tokenizer()).ok()?;
        let exact = model.dropout.is_none()
            && (normalizer.is_null() || normalizer["type"] == "NFC")
            && splits_words(&splits);
        exact.then(Self::default)
    }

    /// Tokens of `text`; `encode` gives those of a part.
    pub(crate) fn encode(
        &self,
        text: &str,
        tokens: &mut Vec<TokenId>,
        encode: impl Fn(&str) -> Result<Vec<TokenId>, PromptError>,
    ) -> Result<(), PromptError> {
        let mut parts = parts(text);
        while let Some((part, key)) = self.extend_known(&mut parts, tokens) {
            let new = encode(part)?;
            tokens.extend_from_slice(&new);
            if part.len() <= PART_BYTES_MAX {
                let mut known = self.known.write();
                if known.len() >= PARTS_MAX {
                    known.clear();
                }
                known.insert(key, Ids::from_slice(&new));
            }
        }
        Ok(())
    }

    /// Takes parts as long as they are known; gives the first that is not.
    fn extend_known<'t>(
        &self,
        parts: &mut impl Iterator<Item = &'t str>,
        tokens: &mut Vec<TokenId>,
    ) -> Option<(&'t str, u128)> {
        let known = self.known.read();
        for part in parts {
            let key = xxh3_128(part.as_bytes());
            match known.get(&key) {
                Some(ids) => tokens.extend_from_slice(ids),
                None => return Some((part, key)),
            }
        }
        None
    }
}

/// Cuts between a letter and a space that a letter follows.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let letter = |byte: u8| byte.is_ascii_lowercase();
        let cut = |three: &[u8]| matches!(three, &[a, b' ', b] if letter(a) && letter(b));
        let place = rest.as_bytes().windows(3).position(cut);
        let (part, after) = rest.split_at(place.map_or(rest.len(), |place| place + 1));
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

/// Whether what is done before BPE ends a piece at every cut.
fn splits_words(steps: &Json) -> bool {
    let steps = match steps["pretokenizers"].as_array() {
        Some(in_turn) if steps["type"] == "Sequence" => in_turn.as_slice(),
        _ => std::slice::from_ref(steps),
    };
    steps.iter().all(leaves_cuts_alone) && steps.iter().any(ends_words)
}

fn leaves_cuts_alone(step: &Json) -> bool {
    match step["type"].as_str() {
        Some("ByteLevel") => step["add_prefix_space"] == false,
        Some("Split") => {
            let pattern = step["pattern"]["Regex"].as_str().unwrap_or_default();
            let isolated = step["behavior"] == "Isolated" && step["invert"] == false;
            isolated && PATTERNS.contains(&pattern)
        }
        Some("Digits") => true,
        _ => false,
    }
}

fn ends_words(step: &Json) -> bool {
    match step["type"].as_str() {
        Some("ByteLevel") => step["use_regex"] == true, // GPT-2's pattern
        Some("Split") => {
            let pattern = step["pattern"]["Regex"].as_str();
            pattern.is_some_and(|pattern| pattern.contains(r"\p{L}"))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
