//! What each door answers.

use crate::{config, http::cached, start, within};
use onefill_kv::TokenId;
use onefill_prompt::{Door, Prompter, scan};
use serde_json::{Value, json};

fn tokens(door: Door, body: &Value) -> Vec<TokenId> {
    let text = body.to_string();
    let asked = scan(door, text.as_bytes()).expect("scans");
    Prompter::simulated()
        .tokens(&asked)
        .expect("tokens")
        .to_vec()
}

fn turn(role: &str, content: &str) -> Value {
    json!({"role": role, "content": content})
}

#[tokio::test]
async fn a_chats_next_turn_finds_prompt_and_answer_in_the_cache() {
    within(async {
        let replica = start(config()).await;
        let first = json!({"messages": [turn("user", "what is a block?")], "max_tokens": 40});
        let answer = replica.post("/v1/chat/completions", &first).await.json();
        let said = answer["choices"][0]["message"]["content"]
            .as_str()
            .expect("text");
        let usage = &answer["usage"];
        let prompt = tokens(Door::Chat, &first).len() as u64;
        assert_eq!(usage["prompt_tokens"], prompt);
        let generated = usage["completion_tokens"].as_u64().expect("a count");
        assert!((16..=40).contains(&generated) && !said.is_empty());
        let next = json!({"messages": [
            turn("user", "what is a block?"),
            turn("assistant", said),
            turn("user", "and a chain?"),
        ], "max_tokens": 4});
        let answer = replica.post("/v1/chat/completions", &next).await.json();
        // The last token of the answer was never computed.
        assert_eq!(cached(&answer), (prompt + generated - 1) / 4 * 4);
    })
    .await;
}

#[tokio::test]
async fn a_stream_says_what_the_whole_says() {
    within(async {
        let replica = start(config()).await;
        let body = |stream: bool| {
            json!({
                "messages": [turn("user", "hello")], "max_tokens": 20, "stream": stream,
                "stream_options": {"include_usage": true},
            })
        };
        let whole = replica
            .post("/v1/chat/completions", &body(false))
            .await
            .json();
        let stream = replica.post("/v1/chat/completions", &body(true)).await;
        assert!(stream.whole && stream.body.ends_with("data: [DONE]\n\n"));
        let events = stream.events();
        let pieces = events
            .iter()
            .filter_map(|event| event["choices"][0]["delta"]["content"].as_str());
        assert_eq!(
            pieces.collect::<String>(),
            whole["choices"][0]["message"]["content"]
                .as_str()
                .expect("text")
        );
        assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
        let [.., end, usage] = events.as_slice() else {
            panic!("too short")
        };
        assert_eq!(
            end["choices"][0]["finish_reason"],
            whole["choices"][0]["finish_reason"]
        );
        assert_eq!(
            usage["usage"]["completion_tokens"],
            whole["usage"]["completion_tokens"]
        );
        assert_eq!(usage["choices"], json!([]));
        let body = json!({"messages": [turn("user", "hello")], "max_tokens": 20, "stream": true});
        let stream = replica.post("/v1/chat/completions", &body).await;
        assert!(!stream.body.contains("\"usage\""));
    })
    .await;
}

#[tokio::test]
async fn completions_take_texts_and_tokens_and_lists_of_both() {
    within(async {
        let replica = start(config()).await;
        let prompts = [
            (json!("abcd efg"), 2, 1),
            (json!(["abcd efg", "hij"]), 3, 2),
            (json!([5, 6, 7]), 3, 1),
            (json!([[5, 6, 7], [8]]), 4, 2),
        ];
        for (prompt, tokens, choices) in prompts {
            let body = json!({"prompt": prompt, "max_tokens": 3, "stream": true});
            let body_whole = json!({"prompt": prompt, "max_tokens": 3});
            let whole = replica.post("/v1/completions", &body_whole).await.json();
            assert_eq!(whole["usage"]["prompt_tokens"], tokens, "{prompt}");
            assert_eq!(whole["usage"]["completion_tokens"], 3 * choices);
            let stream = replica.post("/v1/completions", &body).await.events();
            for (index, choice) in whole["choices"]
                .as_array()
                .expect("choices")
                .iter()
                .enumerate()
            {
                let mine = stream.iter().map(|event| &event["choices"][0]);
                let texts = mine.filter(|choice| choice["index"] == index);
                let text: String = texts.filter_map(|choice| choice["text"].as_str()).collect();
                assert_eq!(choice["text"], text);
                assert_eq!(choice["finish_reason"], "length");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn token_ids_are_given_where_asked_for() {
    within(async {
        let replica = start(config()).await;
        let body = json!({"prompt": [5, 6, 7], "max_tokens": 3, "return_token_ids": true});
        let choice = replica.post("/v1/completions", &body).await.json()["choices"][0].clone();
        assert_eq!(choice["prompt_token_ids"], json!([5, 6, 7]));
        let answer = json!({"prompt": choice["text"], "add_special_tokens": false});
        assert_eq!(
            choice["token_ids"],
            json!(tokens(Door::Completions, &answer))
        );
    })
    .await;
}

#[tokio::test]
async fn other_doors_answer_in_their_own_words() {
    within(async {
        let replica = start(config()).await;
        let body = json!({"input": "hello there", "max_output_tokens": 5, "ignore_eos": true});
        let answer = replica.post("/v1/responses", &body).await.json();
        assert_eq!(answer["usage"]["output_tokens"], 5);
        assert_eq!(answer["status"], "completed");
        let body = json!({"messages": [turn("user", "hello there")], "max_tokens": 5});
        let answer = replica.post("/v1/messages", &body).await.json();
        assert_eq!(answer["stop_reason"], "max_tokens");
        assert!(
            answer["usage"]["cache_read_input_tokens"].as_u64() > Some(0),
            "one template"
        );
        let body = json!({"input": ["one text", "two"]});
        let answer = replica.post("/v1/embeddings", &body).await.json();
        assert_eq!(answer["data"].as_array().expect("data").len(), 2);
        assert_eq!(answer["usage"]["completion_tokens"], 0);
        for (path, body) in [
            ("/v1/responses", json!({"input": "hi", "stream": true})),
            (
                "/v1/messages",
                json!({"messages": [turn("user", "hi")], "max_tokens": 3, "stream": true}),
            ),
        ] {
            let stream = replica.post(path, &body).await;
            assert!(stream.whole && stream.events().len() > 3, "{}", stream.body);
        }
    })
    .await;
}

#[tokio::test]
async fn adapters_and_salts_share_nothing() {
    within(async {
        let mut config = config();
        config.loras = vec!["one".into(), "two".into()];
        let replica = start(config).await;
        let prompt: Vec<u32> = (20..40).collect();
        let ask = async |model: &str, salt: Option<&str>| {
            let body = json!({
                "model": model, "prompt": prompt, "max_tokens": 1, "cache_salt": salt,
            });
            cached(&replica.post("/v1/completions", &body).await.json())
        };
        for (model, salt) in [
            ("simulated", None),
            ("one", None),
            ("two", None),
            ("one", Some("s")),
        ] {
            assert_eq!(ask(model, salt).await, 0, "{model} {salt:?}");
            assert_eq!(ask(model, salt).await, 16, "{model} {salt:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_can_not_be_computed_is_refused() {
    within(async {
        let replica = start(config()).await;
        let length = 63 * 4;
        for (path, body, status) in [
            (
                "/v1/completions",
                json!({"model": "other", "prompt": "x"}),
                404,
            ),
            ("/v1/completions", json!({"prompt": ""}), 400),
            ("/v1/completions", json!({"prompt": vec![1; length]}), 400),
            (
                "/v1/completions",
                json!({"prompt": [1], "max_tokens": length}),
                400,
            ),
            (
                "/v1/completions",
                json!({"prompt": [1], "max_tokens": 0}),
                400,
            ),
            ("/v1/chat/completions", json!({}), 200), // an empty chat has a prompt all the same
            ("/v1/chat/completions", json!([1]), 400),
            ("/v1/nothing", json!({}), 404),
        ] {
            let answer = replica.post(path, &body).await;
            assert_eq!(answer.status, status, "{path} {body}: {}", answer.body);
            if status != 200 {
                assert_eq!(answer.json()["error"]["code"], status);
            }
        }
        let whole = replica.complete(&vec![1; length - 5], 5).await;
        assert_eq!(whole["usage"]["total_tokens"], length);
    })
    .await;
}
