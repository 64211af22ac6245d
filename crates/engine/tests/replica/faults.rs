//! What goes wrong with answers when it is asked for.

use crate::{config, start, within};
use onefill_engine::Order;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn errors_come_as_often_as_ordered() {
    within(async {
        let replica = start(config()).await;
        let order = json!({"errors_500": 1, "errors_503": 2});
        let left = replica.post("/fault", &order).await.json();
        assert_eq!(
            (&left["errors_500"], &left["cut_streams"]),
            (&json!(1), &json!(0))
        );
        let body = json!({"prompt": [1, 2], "max_tokens": 1});
        let mut statuses = Vec::new();
        for _ in 0..4 {
            statuses.push(replica.post("/v1/completions", &body).await.status);
        }
        assert_eq!(statuses, [500, 503, 503, 200]);
        assert_eq!(replica.get("/health").await.status, 200);
        assert_eq!(replica.get("/fault").await.json()["errors_503"], 0);
    })
    .await;
}

#[tokio::test]
async fn a_cut_stream_breaks_after_its_first_token() {
    within(async {
        let replica = start(config()).await;
        replica.post("/fault", &json!({"cut_streams": 1})).await;
        let body = json!({"prompt": [1, 2], "max_tokens": 5, "ignore_eos": true, "stream": true});
        let cut = replica.post("/v1/completions", &body).await;
        assert!(!cut.whole && cut.status == 200);
        assert_eq!(cut.events().len(), 1);
        let whole = replica.post("/v1/completions", &body).await;
        assert!(whole.whole);
        assert_eq!(whole.events().len(), 6);
    })
    .await;
}

#[tokio::test]
async fn a_slow_start_answers_503_and_then_all_is_well() {
    within(async {
        let mut config = config();
        config.faults = Order {
            unavailable_ms: Some(500),
            ..Order::default()
        };
        let replica = start(config).await;
        assert_eq!(replica.get("/health").await.status, 503);
        while replica.get("/health").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(replica.get("/v1/models").await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn refused_connections_get_no_answer() {
    within(async {
        let mut config = config();
        config.faults.refuse_ms = Some(60_000);
        let replica = start(config).await;
        assert_eq!(replica.get("/health").await.status, 0);
    })
    .await;
}

#[tokio::test]
async fn a_restart_breaks_answers_off() {
    within(async {
        let mut config = config();
        config.speed.decode_tokens_s = 20.0;
        let replica = start(config).await;
        let body = json!({"prompt": [1, 2], "max_tokens": 100, "ignore_eos": true});
        let asking = replica.post("/v1/completions", &body);
        let restarting = async {
            while replica.figure("vllm:num_requests_running").await < 1.0 {}
            replica.post("/fault", &json!({"restart": true})).await
        };
        let (broken, _) = tokio::join!(asking, restarting);
        assert_eq!(broken.status, 0, "{broken:?}");
        assert_eq!(replica.figure("vllm:num_requests_running").await, 0.0);
    })
    .await;
}

#[tokio::test]
async fn an_order_that_is_not_understood_is_refused() {
    within(async {
        let replica = start(config()).await;
        let answer = replica.post("/fault", &json!({"explode": true})).await;
        assert_eq!(answer.status, 400);
        assert!(answer.body.contains("explode"));
    })
    .await;
}
