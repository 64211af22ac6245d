//! Templates and tokens compared with transformers 5.19, on the tiny model's tokenizer and on
//! templates in the styles of Llama 3, Qwen 3, Mistral, Gemma and of those that take parts.
#![expect(clippy::expect_used, reason = "a test")]

use onefill_kv::KeySeed;
use onefill_prompt::{Door, Input, Namespace, Prompter, remote, scan, simulated_word, text_keys};
use serde_json::{Value, json};
use std::{fs, path::Path};

fn data() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data"))
}

fn golden() -> Value {
    let text = fs::read_to_string(data().join("golden.json")).expect("golden.json");
    serde_json::from_str(&text).expect("JSON")
}

/// A tokenizer folder with this template.
fn prompter(template: &str) -> Prompter {
    let folder = tempfile::tempdir().expect("folder");
    let tiny = data().join("tiny");
    fs::copy(
        tiny.join("tokenizer.json"),
        folder.path().join("tokenizer.json"),
    )
    .expect("copy");
    fs::write(folder.path().join("chat_template.jinja"), template).expect("write");
    let config = json!({"bos_token": "<|endoftext|>", "eos_token": {"content": "<|im_end|>"}});
    fs::write(
        folder.path().join("tokenizer_config.json"),
        config.to_string(),
    )
    .expect("write");
    Prompter::load(folder.path()).expect("loads")
}

#[test]
fn chats_render_and_tokenize_as_in_transformers() {
    let golden = golden();
    let mut compared = 0;
    for (name, template) in golden["templates"].as_object().expect("templates") {
        let prompter = prompter(template.as_str().expect("text"));
        for case in golden["chats"].as_array().expect("chats") {
            if case["template"] != name.as_str() {
                continue;
            }
            let body = case["body"].to_string();
            let asked = scan(Door::Chat, body.as_bytes()).expect("scans");
            let Input::Chat(chat) = &asked.input else {
                panic!("a chat")
            };
            assert_eq!(
                prompter.render(chat).expect("renders"),
                case["text"],
                "{name}: {body}"
            );
            let tokens = prompter.tokens(&asked).expect("tokens");
            assert_eq!(json!(tokens.as_ref()), case["tokens"], "{name}: {body}");
            compared += 1;
        }
    }
    assert_eq!(compared, 22);
}

#[test]
fn texts_tokenize_as_in_transformers() {
    let prompter = Prompter::load(&data().join("tiny")).expect("loads");
    for case in golden()["texts"].as_array().expect("texts") {
        let body = json!({"model": "m", "prompt": case["text"]}).to_string();
        let asked = scan(Door::Completions, body.as_bytes()).expect("scans");
        let tokens = prompter.tokens(&asked).expect("tokens");
        assert_eq!(json!(tokens.as_ref()), case["tokens"], "{}", case["text"]);
    }
}

#[test]
fn a_growing_chat_gives_what_a_fresh_tokenizer_gives() {
    let warm = Prompter::load(&data().join("tiny")).expect("loads");
    let mut messages = Vec::new();
    for turn in 0..12 {
        let role = if turn % 2 == 0 { "user" } else { "assistant" };
        let text = format!("turn {turn}: Grüße, return self.value[{turn}] \n\n  done ");
        messages.push(json!({"role": role, "content": text.repeat(turn + 1)}));
        let body = json!({"model": "m", "messages": messages}).to_string();
        let asked = scan(Door::Chat, body.as_bytes()).expect("scans");
        let fresh = Prompter::load(&data().join("tiny")).expect("loads");
        assert_eq!(
            warm.tokens(&asked).expect("warm"),
            fresh.tokens(&asked).expect("fresh")
        );
    }
}

#[test]
fn bodies_tell_what_the_router_needs() {
    let body = br#"{"model":"a","model":"b\u0021","cache_salt":"s","stream":true,"max_tokens":7,
        "user":"u","messages":[{"role":"user","content":[{"type":"image_url","image_url":{}}]}],"x":[[{}]]}"#;
    let asked = scan(Door::Chat, body).expect("scans");
    assert_eq!(
        asked.model.as_deref(),
        Some("b!"),
        "the last of two equal names counts"
    );
    assert_eq!(asked.cache_salt.as_deref(), Some("s"));
    assert_eq!(asked.session.as_deref(), Some("u"));
    assert!(asked.stream && asked.multimodal);
    assert_eq!(asked.output_tokens_max, Some(7));
    let error = scan(Door::Chat, b"{\"model\": \"a\",\n oops}").expect_err("malformed");
    assert_eq!(error.offset, 17, "{error}");
    assert!(scan(Door::Chat, b"[1]").is_err() && scan(Door::Chat, b"").is_err());
    assert!(scan(Door::Chat, b"{} {}").is_err(), "nothing may follow");
    let deep = [b"{\"messages\":".to_vec(), vec![b'['; 100_000]].concat();
    assert!(scan(Door::Chat, &deep).is_err(), "nesting is bounded");
}

#[test]
fn prompts_come_in_four_shapes() {
    let tokens = |body: &str| {
        let asked = scan(Door::Completions, body.as_bytes()).expect("scans");
        Prompter::simulated()
            .tokens(&asked)
            .map(|tokens| tokens.len())
            .ok()
    };
    assert_eq!(tokens(r#"{"prompt":"abcd efg hij"}"#), Some(3));
    assert_eq!(tokens(r#"{"prompt":["abcd","x"]}"#), Some(1));
    assert_eq!(tokens(r#"{"prompt":[5,6,7]}"#), Some(3));
    assert_eq!(tokens(r#"{"prompt":[[5,6],[7]]}"#), Some(2));
    assert_eq!(tokens(r#"{"prompt":{"a":1}}"#), None);
}

#[test]
fn simulated_answers_sent_back_give_the_same_tokens() {
    let prompter = Prompter::simulated();
    let tokens = |text: &str| {
        let body = json!({"prompt": text}).to_string();
        prompter
            .tokens(&scan(Door::Completions, body.as_bytes()).expect("scans"))
            .expect("tokens")
    };
    let mut answer = String::new();
    for number in 0..200 {
        let before = tokens(&answer);
        answer += &simulated_word(number);
        let after = tokens(&answer);
        assert_eq!(after.len(), before.len() + 1);
        assert_eq!(after[..before.len()], before[..]);
    }
}

#[test]
fn text_keys_of_a_longer_chat_begin_with_those_of_the_shorter() {
    let space = Namespace {
        seed: KeySeed(1),
        block_tokens: 4,
        lora: None,
        salt: None,
    };
    let turn = |text: &str| json!({"role": "user", "content": text});
    let body = |messages: Vec<Value>| json!({"messages": messages}).to_string();
    let short = body(vec![turn("hello there, this is a first turn")]);
    let long = body(vec![
        turn("hello there, this is a first turn"),
        turn("and a second"),
    ]);
    let short = text_keys(&scan(Door::Chat, short.as_bytes()).expect("scans"), space);
    let long = text_keys(&scan(Door::Chat, long.as_bytes()).expect("scans"), space);
    assert!(short.chain.len() >= 3 && long.chain.starts_with(&short.chain));
    assert!(!short.exact);
}

#[test]
fn a_replica_is_asked_for_what_is_not_known_here() {
    let body = br#"{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"a":1}]}"#;
    let request = remote::request(&scan(Door::Chat, body).expect("scans")).expect("asks");
    let sent: Value = serde_json::from_slice(&request.body).expect("JSON");
    assert_eq!(
        (request.path, &sent["tools"]),
        ("/tokenize", &json!([{"a": 1}]))
    );
    assert_eq!(
        remote::read("/tokenize", br#"{"count":2,"tokens":[3,4]}"#).expect("tokens"),
        [3, 4]
    );
    assert!(remote::read("/tokenize", b"oops").is_err());
}
