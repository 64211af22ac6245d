//! The real traces, where they are.

use onefill_plan::trace::{FormatOptions, Trace, read};
use std::path::PathBuf;

/// The three with content.
pub const NAMES: [(&str, &str); 3] = [
    ("conversation", "mooncake_conversation.jsonl"),
    ("synthetic", "mooncake_synthetic.jsonl"),
    ("agent", "claude_code_710_rle.jsonl.gz"),
];

pub fn folder() -> PathBuf {
    match std::env::var_os("ONEFILL_TRACES") {
        Some(folder) => folder.into(),
        None => PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../../shared/traces"
        )),
    }
}

/// A trace by its short name, unless `$ONEFILL_TRACE` names another; `None`, with a word, where it is not there.
pub fn load(name: &str, seed: u64) -> Option<Trace> {
    if std::env::var("ONEFILL_TRACE").is_ok_and(|only| only != name) {
        return None;
    }
    let file = NAMES.iter().find(|(short, _)| *short == name)?.1;
    let path = folder().join(file);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => {
            println!("skipped: {name}: {}: {error}", path.display());
            return None;
        }
    };
    let mut options = FormatOptions::default();
    options.claude.seed = seed;
    match read(name, &bytes, None, &options) {
        Ok(trace) => Some(trace),
        Err(error) => {
            println!("skipped: {name}: {error}");
            None
        }
    }
}
