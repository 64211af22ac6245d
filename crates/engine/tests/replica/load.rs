//! Requests at once: who runs, who waits, who leaves.

use crate::{config, start, within};
use serde_json::json;

#[tokio::test]
async fn requests_beyond_the_batch_wait_and_clients_that_leave_make_room() {
    within(async {
        let mut config = config();
        config.speed.decode_tokens_s = 10.0;
        config.batch.seqs_max = 1;
        let replica = start(config).await;
        let body = json!({"prompt": [1, 2], "max_tokens": 200, "ignore_eos": true}).to_string();
        let first = replica.open("POST", "/v1/completions", &body).await;
        while replica.figure("vllm:num_requests_running").await < 1.0 {}
        let second = replica.open("POST", "/v1/completions", &body).await;
        while replica.figure("vllm:num_requests_waiting").await < 1.0 {}
        assert_eq!(replica.get("/load").await.json()["server_load"], 2);
        assert!(replica.figure("vllm:kv_cache_usage_perc").await > 0.0);
        drop(first);
        while replica.figure("vllm:num_requests_waiting").await > 0.0 {}
        assert_eq!(replica.figure("vllm:num_requests_running").await, 1.0);
        drop(second);
        while replica.figure("vllm:num_requests_running").await > 0.0 {}
        assert_eq!(replica.figure("vllm:kv_cache_usage_perc").await, 0.0);
        assert_eq!(replica.get("/load").await.json()["server_load"], 0);
    })
    .await;
}

#[tokio::test]
async fn a_streams_tokens_come_one_by_one() {
    within(async {
        let mut config = config();
        config.speed.decode_tokens_s = 200.0;
        let replica = start(config).await;
        let body = json!({"prompt": [1], "max_tokens": 10, "ignore_eos": true, "stream": true});
        let began = std::time::Instant::now();
        let stream = replica.post("/v1/completions", &body).await;
        assert!(began.elapsed().as_millis() >= 45, "nine steps of 5 ms");
        assert_eq!(stream.events().len(), 11);
    })
    .await;
}
