//! Where a prompt's tokens come from.

use crate::{
    Router, config,
    fake::{Act, Fake, Seen, ok},
    http::{Answer, connect},
    within,
};
use onefill_prompt::Prompter;
use onefill_schedule::Policy;
use std::sync::Arc;

const PROMPT: &str = r#"{"model":"tiny","prompt":"one two three"}"#;

fn reason(answer: &Answer) -> &str {
    answer.header("x-onefill-reason").expect("a reason")
}

/// Tokenizes anything to these 40 tokens.
fn forty(seen: &Seen) -> Act {
    let tokens: Vec<u32> = (0..40).collect();
    match seen.line() {
        "POST /tokenize" => ok(
            &serde_json::json!({ "count": 40, "max_model_len": 4096, "tokens": tokens })
                .to_string(),
        ),
        _ => crate::answer(seen),
    }
}

#[tokio::test]
async fn without_a_tokenizer_the_replicas_is_asked() {
    let fake = Fake::start(forty).await;
    let mut config = config();
    config.policy = Policy::Kv;
    let router = Router::start(config, &[&fake]).await;
    let answer = within(
        connect(router.main)
            .await
            .post("/v1/completions", "", PROMPT.as_bytes()),
    )
    .await;
    assert!(
        reason(&answer).contains(" prompt_tokens=40 "),
        "{}",
        reason(&answer)
    );
    assert!(
        reason(&answer).ends_with(" tokens=replica"),
        "{}",
        reason(&answer)
    );
}

#[tokio::test]
async fn a_replica_that_does_not_tokenize_fails_nothing() {
    for script in [
        |_: &Seen| Act::Reply(404, "", vec![]),
        |seen: &Seen| match seen.line() {
            "POST /tokenize" => Act::Silence,
            _ => crate::answer(seen),
        },
    ] {
        let fake = Fake::start(move |seen| match seen.line() {
            "POST /tokenize" => script(seen),
            _ => crate::answer(seen),
        })
        .await;
        let mut config = config();
        config.policy = Policy::Kv;
        let router = Router::start(config, &[&fake]).await;
        let answer = within(connect(router.main).await.post(
            "/v1/completions",
            "",
            PROMPT.as_bytes(),
        ))
        .await;
        assert_eq!(answer.status, 200);
        assert!(
            reason(&answer).ends_with(" tokens=text"),
            "{}",
            reason(&answer)
        );
    }
}

/// The tokenizer in process makes other tokens than the replica: it is found out, told, and not
/// used; what is aside (a large body) neither.
#[tokio::test]
async fn a_tokenizer_that_differs_is_not_used() {
    let fake = Fake::start(forty).await;
    let mut config = config();
    config.policy = Policy::Kv;
    config.tokenizers.default = Some(Arc::new(Prompter::simulated()));
    let router = Router::start(config, &[&fake]).await;
    let mut admin = connect(router.admin).await;
    let told = |body: Vec<u8>| {
        let line = b"onefill_tokenizer_distrusted{model=\"tiny\"} 1\n";
        crate::http::find(&body, line).is_some()
    };
    within(async { while !told(admin.get("/metrics").await.body) {} }).await;
    let answer = within(
        connect(router.main)
            .await
            .post("/v1/completions", "", PROMPT.as_bytes()),
    )
    .await;
    assert!(
        reason(&answer).ends_with(" tokens=replica"),
        "{}",
        reason(&answer)
    );
}

#[tokio::test]
async fn token_ids_and_large_bodies_need_nobody() {
    let fake = Fake::start(|seen| match seen.line() {
        "POST /tokenize" => Act::Reply(404, "", vec![]),
        _ => crate::answer(seen),
    })
    .await;
    let mut config = config();
    config.policy = Policy::Kv;
    config.limits.tokenize_inline_bytes = 100;
    config.tokenizers.default = Some(Arc::new(Prompter::simulated()));
    let router = Router::start(config, &[&fake]).await;
    let mut client = connect(router.main).await;
    let ids: Vec<u32> = (0..50).collect();
    let body = serde_json::json!({ "model": "tiny", "prompt": ids }).to_string();
    let answer = within(client.post("/v1/completions", "", body.as_bytes())).await;
    assert!(
        reason(&answer).contains(" prompt_tokens=50 "),
        "{}",
        reason(&answer)
    );
    let body = serde_json::json!({ "model": "tiny", "prompt": "abcd".repeat(1000) }).to_string();
    for expected in [" overlap_tokens=0 ", " overlap_tokens=992 "] {
        let answer = within(client.post("/v1/completions", "", body.as_bytes())).await;
        assert!(reason(&answer).contains(expected), "{}", reason(&answer));
        assert!(!reason(&answer).contains(" tokens="), "{}", reason(&answer));
    }
}
