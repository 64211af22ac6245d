//! YAML in and out.

use anyhow::Context as _;
use serde_json::Value;
use std::{io::Read as _, path::Path};

/// All documents of a file that are not empty; `-` is standard input.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Value>> {
    let name = path.display();
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(path).with_context(|| format!("{name}"))?;
    }
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&text).with_context(|| format!("{name} is no YAML"))?;
    let there = documents.into_iter().filter(|document| !document.is_null());
    Ok(there.flat_map(items).collect())
}

/// A `List`, as `kubectl get -o yaml` prints it, is its items.
fn items(document: Value) -> Vec<Value> {
    match (document["kind"].as_str(), document["items"].as_array()) {
        (Some("List"), Some(items)) => items.clone(),
        _ => vec![document],
    }
}

/// One document, with the line that begins it.
pub(super) fn document(value: &Value) -> anyhow::Result<String> {
    let mut options = serde_saphyr::SerializerOptions::default();
    options.prefer_block_scalars = false; // arguments stay on one line
    let text = serde_saphyr::to_string_with_options(value, options)?;
    Ok(format!("---\n{}\n", text.trim_end()))
}
