//! How engines split text where they don't split it as `tokenizer.json` says.
//!
//! From version 5 on, transformers takes only the vocabulary, the merges and the post-processor
//! from the file where the model's type has a tokenizer class of its own, and builds the rest as
//! that class is written: `models/qwen2/tokenization_qwen2.py`. The folder can't tell which version
//! an engine has, so both ways are kept and the engine's own tokens decide.

use serde_json::{Value as Json, json};
use tokenizers::Tokenizer;

/// Qwen's words: contractions, letters with one sign before them, single digits, signs, blanks.
const QWEN2_WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Model types whose class is `Qwen2Tokenizer`.
const QWEN2_TYPES: [&str; 2] = ["qwen2", "qwen3"];
/// Types that begin so and have a class of their own.
const OTHER_TYPES: [&str; 1] = ["qwen3_5"];

/// The tokenizer that the model's class makes; `None` where it is the file's own, or not known.
pub(crate) fn of_class(file: &[u8], config: &Json, model: &Json) -> Option<Tokenizer> {
    if !is_qwen2(config, model) {
        return None;
    }
    let mut tokenizer: Json = serde_json::from_slice(file).ok()?;
    if tokenizer["model"]["type"] != "BPE" {
        return None;
    }
    let words = json!({
        "type": "Split", "pattern": {"Regex": QWEN2_WORDS}, "behavior": "Isolated", "invert": false,
    });
    let bytes = json!({
        "type": "ByteLevel", "add_prefix_space": config["add_prefix_space"] == true,
        "trim_offsets": false, "use_regex": false,
    });
    let parts = json!({"type": "Sequence", "pretokenizers": [words, bytes]});
    if says_words(&tokenizer) {
        return None;
    }
    let fields = tokenizer.as_object_mut()?;
    fields.insert("normalizer".into(), json!({"type": "NFC"}));
    fields.insert("pre_tokenizer".into(), parts);
    Tokenizer::from_bytes(tokenizer.to_string()).ok()
}

fn is_qwen2(config: &Json, model: &Json) -> bool {
    let class = config["tokenizer_class"].as_str().unwrap_or_default();
    let kind = model["model_type"].as_str().unwrap_or_default();
    let other = OTHER_TYPES.iter().any(|name| kind.starts_with(name));
    let named = QWEN2_TYPES.iter().any(|name| kind.starts_with(name));
    class.starts_with("Qwen2Tokenizer") || named && !other
}

/// Whether the file splits and normalizes so itself, as those of Qwen's own models do.
fn says_words(tokenizer: &Json) -> bool {
    let split = &tokenizer["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"];
    split == QWEN2_WORDS && tokenizer["normalizer"]["type"] == "NFC"
}
