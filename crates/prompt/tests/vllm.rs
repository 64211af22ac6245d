//! Chats rendered as vLLM 0.32 renders them: its request model and chat utilities and transformers
//! 5.19 made tests/data/vllm.json, of templates that show what they are given and what they can do.
#![expect(clippy::expect_used, reason = "a test")]

use onefill_prompt::{Door, Input, Prompter, scan};
use serde_json::{Value, json};
use std::{fs, path::Path};

fn data() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data"))
}

fn prompter(template: &str) -> Prompter {
    let folder = tempfile::tempdir().expect("folder");
    let file = |name| folder.path().join(name);
    fs::copy(data().join("tiny/tokenizer.json"), file("tokenizer.json")).expect("copy");
    fs::write(file("chat_template.jinja"), template).expect("write");
    let config = json!({"bos_token": "<|endoftext|>", "eos_token": {"content": "<|im_end|>"}});
    fs::write(file("tokenizer_config.json"), config.to_string()).expect("write");
    Prompter::load(folder.path()).expect("loads")
}

fn render(prompter: &Prompter, body: &Value) -> Option<String> {
    let body = body.to_string();
    let asked = scan(Door::Chat, body.as_bytes()).expect("scans");
    match &asked.input {
        Input::Chat(chat) => prompter.render(chat).ok(),
        _ => None,
    }
}

#[test]
fn chats_render_as_in_vllm() {
    let text = fs::read_to_string(data().join("vllm.json")).expect("vllm.json");
    let golden: Value = serde_json::from_str(&text).expect("JSON");
    let mut wrong = Vec::new();
    for (name, template) in golden["templates"].as_object().expect("templates") {
        let prompter = prompter(template.as_str().expect("text"));
        let chats = golden["chats"].as_array().expect("chats").iter();
        for chat in chats.filter(|chat| chat["template"] == name.as_str()) {
            let rendered = render(&prompter, &chat["body"]);
            if rendered.as_deref() != chat["text"].as_str() {
                let (body, text) = (&chat["body"], chat["text"].as_str());
                wrong.push(format!("{name} {body}\n{rendered:?}\n{text:?}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}
