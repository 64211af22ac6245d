//! A model's tokenizer folder: `tokenizer.json`, and the chat template where it may stand.

use crate::{
    LoadError, Prompter, dialect,
    template::{SpecialTokens, Template},
    tokens::Tokens,
};
use serde_json::Value as Json;
use std::{fs, path::Path};
use tokenizers::Tokenizer;

pub(crate) fn load(folder: &Path) -> Result<Prompter, LoadError> {
    let wrong = |reason: String| LoadError {
        folder: folder.display().to_string(),
        reason,
    };
    let unread = |error: &dyn std::fmt::Display| wrong(format!("tokenizer.json: {error}"));
    let file = fs::read(folder.join("tokenizer.json")).map_err(|error| unread(&error))?;
    let tokenizer = Tokenizer::from_bytes(&file).map_err(|error| unread(&error))?;
    let config = match fs::read_to_string(folder.join("tokenizer_config.json")) {
        Ok(text) => serde_json::from_str(&text)
            .map_err(|error| wrong(format!("tokenizer_config.json: {error}")))?,
        Err(_) => Json::Null,
    };
    let model: Json = fs::read(folder.join("config.json"))
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    let other = dialect::of_class(&file, &config, &model);
    let template = match template_source(folder, &config) {
        Some(source) => {
            let template = Template::new(&source, special_tokens(&config));
            Some(template.map_err(|error| wrong(format!("chat template: {error}")))?)
        }
        None => None,
    };
    let dialects = std::iter::once(tokenizer).chain(other);
    let dialects = dialects.map(Tokens::hugging_face).collect();
    Ok(Prompter::new(dialects, template))
}

/// The file wins over the configuration, as in transformers.
fn template_source(folder: &Path, config: &Json) -> Option<String> {
    if let Ok(source) = fs::read_to_string(folder.join("chat_template.jinja")) {
        return Some(source);
    }
    match &config["chat_template"] {
        Json::String(source) => Some(source.clone()),
        Json::Array(named) => {
            let default = named.iter().find(|each| each["name"] == "default")?;
            default["template"].as_str().map(str::to_owned)
        }
        _ => None,
    }
}

/// Those that have a name. Each stands as text, or as an object with "content".
fn special_tokens(config: &Json) -> SpecialTokens {
    const NAMES: [&str; 7] = [
        "bos_token",
        "eos_token",
        "unk_token",
        "sep_token",
        "pad_token",
        "cls_token",
        "mask_token",
    ];
    let text = |name| {
        let value = &config[name];
        value.as_str().or_else(|| value["content"].as_str())
    };
    let named = NAMES
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), text(*name)?.to_owned())));
    named.collect()
}
