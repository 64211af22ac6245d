//! The router's own pages.

use crate::{CHAT, HELLO, Router, answer, config, fake::Fake, http::connect, within};
use std::collections::BTreeSet;

const WITH_LORA: &str = r#"{"data":[{"id":"tiny","root":"tiny","parent":null,"max_model_len":4096},{"id":"my-lora","root":"p","parent":"tiny"}]}"#;

#[tokio::test]
async fn models_are_merged_and_an_adapter_goes_where_it_is() {
    let (plain, lora) = (
        Fake::start(answer).await,
        Fake::with_models(WITH_LORA, answer).await,
    );
    let router = Router::start(config(), &[&plain, &lora]).await;
    let mut client = connect(router.main).await;
    let list = within(client.get("/v1/models")).await.json();
    let ids: Vec<_> = list["data"]
        .as_array()
        .expect("models")
        .iter()
        .map(|m| &m["id"])
        .collect();
    assert_eq!(ids, ["my-lora", "tiny"]);
    assert_eq!(list["data"][0]["parent"], "tiny");
    assert_eq!(list["data"][1]["max_model_len"], 4096);
    for number in 0..10 {
        let body = format!(r#"{{"model":"my-lora","prompt":"{number}"}}"#);
        let answer = within(client.post("/v1/completions", "", body.as_bytes())).await;
        assert_eq!(answer.header("x-onefill-replica"), Some(lora.url.as_str()));
    }
}

#[tokio::test]
async fn debug_route_explains_and_sends_nothing_on() {
    let fakes = [Fake::start(answer).await, Fake::start(answer).await];
    let router = Router::start(config(), &[&fakes[0], &fakes[1]]).await;
    let mut client = connect(router.main).await;
    for path in ["/debug/route", "/debug/route?path=/v1/chat/completions"] {
        let answer = within(client.post(path, "", HELLO)).await;
        assert_eq!(answer.status, 200);
        let page = answer.json();
        let candidates = page["candidates"].as_array().expect("candidates");
        assert_eq!(candidates.len(), 2);
        assert!(
            candidates[0]["terms"]
                .as_object()
                .is_some_and(|terms| !terms.is_empty())
        );
        assert!(candidates[0]["cost_ms"].as_f64() <= candidates[1]["cost_ms"].as_f64());
        assert_eq!(candidates[0]["state"], "approximate");
    }
    assert!(fakes.iter().all(|fake| fake.bodies().is_empty()));
}

#[tokio::test]
async fn a_drained_replica_gets_nothing_until_it_is_back() {
    let fakes = [Fake::start(answer).await, Fake::start(answer).await];
    let router = Router::start(config(), &[&fakes[0], &fakes[1]]).await;
    let (mut client, mut admin) = (connect(router.main).await, connect(router.admin).await);
    let drain = format!("/debug/drain?replica={}", fakes[0].url);
    assert_eq!(
        within(client.post(&drain, "", b"")).await.error(),
        "404 unknown_url"
    );
    assert_eq!(within(admin.post(&drain, "", b"")).await.status, 200);
    for number in 0..10 {
        let body = format!(r#"{{"model":"tiny","prompt":"{number}"}}"#);
        let answer = within(client.post("/v1/completions", "", body.as_bytes())).await;
        assert_eq!(
            answer.header("x-onefill-replica"),
            Some(fakes[1].url.as_str())
        );
    }
    admin
        .send(&crate::http::request("DELETE", &drain, "", b""))
        .await;
    assert_eq!(within(admin.answer()).await.json()["draining"], false);
    assert_eq!(
        within(admin.post("/debug/drain?replica=x", "", b""))
            .await
            .status,
        400
    );
}

/// Every family that is told is described, and every one described is told.
#[tokio::test]
async fn metrics_and_their_documentation_agree() {
    let fake = Fake::start(answer).await;
    let router = Router::start(config(), &[&fake]).await;
    let mut client = connect(router.main).await;
    within(client.post(CHAT, "", HELLO)).await;
    within(client.post(CHAT, "", b"{")).await;
    let text = within(connect(router.admin).await.get("/metrics"))
        .await
        .body;
    let text = String::from_utf8(text).expect("text");
    let told: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    let mut documented: BTreeSet<&str> = include_str!("../../../../docs/metrics.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    // It has no series while every tokenizer is believed; tests of tokens see it.
    assert!(documented.remove("onefill_tokenizer_distrusted"));
    assert_eq!(told, documented);
    assert!(
        text.contains("onefill_requests_total{door=\"chat\",code=\"200\"} 1\n"),
        "{text}"
    );
    assert!(
        text.contains("onefill_requests_total{door=\"chat\",code=\"400\"} 1\n"),
        "{text}"
    );
    assert!(
        text.contains("onefill_reported_cached_tokens_total 4\n"),
        "{text}"
    );
    assert!(!text.contains("# EOF"));
}
