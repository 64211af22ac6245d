//! The tokens of transformers 5.19 where it builds a tokenizer by the model's type, not by the file.
#![expect(clippy::expect_used, reason = "a test")]

use onefill_prompt::{Door, Prompter, scan};
use serde_json::{Value, json};
use std::{fs, path::Path};

fn data() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data"))
}

fn prompter(model_type: &str) -> Prompter {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("tokenizer.json");
    fs::copy(data().join("tiny/tokenizer.json"), file).expect("copy");
    let model = json!({"model_type": model_type}).to_string();
    fs::write(folder.path().join("config.json"), model).expect("write");
    Prompter::load(folder.path()).expect("loads")
}

#[test]
fn the_second_dialect_of_qwen_is_its_class() {
    let prompter = prompter("qwen2");
    assert_eq!(prompter.dialects(), 2);
    let golden = fs::read_to_string(data().join("qwen2_class.json")).expect("golden");
    let golden: Vec<Value> = serde_json::from_str(&golden).expect("JSON");
    let mut differ = 0;
    for case in &golden {
        let body = json!({"model": "m", "prompt": case["text"]}).to_string();
        let asked = scan(Door::Completions, body.as_bytes()).expect("scans");
        prompter.speak(0);
        let first = prompter.tokens(&asked).expect("tokens");
        prompter.speak(1);
        let second = prompter.tokens(&asked).expect("tokens");
        assert_eq!(json!(second.as_ref()), case["tokens"], "{}", case["text"]);
        differ += usize::from(first != second);
    }
    assert!(differ > 2, "both dialects are the same: {differ}");
}

#[test]
fn other_models_speak_as_their_file_says() {
    assert_eq!(prompter("llama").dialects(), 1);
    assert_eq!(prompter("qwen3_5").dialects(), 1);
}
