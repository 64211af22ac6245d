//! What a router asks of a replica beside answers.

use crate::{config, start, within};
use onefill_kv::TokenId;
use onefill_prompt::{Door, Prompter, remote, scan};
use serde_json::json;

#[tokio::test]
async fn models_name_adapters_and_where_they_lie() {
    within(async {
        let mut config = config();
        config.loras = vec!["mine".into()];
        let replica = start(config).await;
        let models = replica.get("/v1/models").await.json()["data"].clone();
        assert_eq!(models[0]["id"], "simulated");
        assert_eq!(models[0]["max_model_len"], 63 * 4);
        assert_eq!(models[1]["parent"], "simulated");
        assert_eq!(models[1]["root"], "/adapters/mine");
    })
    .await;
}

#[tokio::test]
async fn figures_tell_of_the_cache() {
    within(async {
        let replica = start(config()).await;
        let prompt: Vec<u32> = (0..21).collect();
        replica.complete(&prompt, 1).await;
        replica.complete(&prompt, 1).await;
        assert_eq!(
            replica.figure("vllm:prefix_cache_queries_total").await,
            42.0
        );
        assert_eq!(replica.figure("vllm:prefix_cache_hits_total").await, 20.0);
        assert_eq!(replica.figure("vllm:kv_cache_usage_perc").await, 0.0);
        let page = replica.get("/metrics").await.body;
        let line = page
            .lines()
            .find(|line| line.starts_with("vllm:cache_config_info"));
        let line = line.expect("the configuration");
        assert!(line.contains("block_size=\"4\"") && line.contains("num_gpu_blocks=\"64\""));
        assert!(line.contains("prefix_caching_hash_algo=\"sha256_cbor\""));
        assert!(replica.figure("process_start_time_seconds").await > 1.7e9);
    })
    .await;
}

#[tokio::test]
async fn tokens_are_those_of_the_simulated_tokenizer() {
    within(async {
        let replica = start(config()).await;
        let chat =
            json!({"model": "simulated", "messages": [{"role": "user", "content": "Grüße!"}]});
        let text = json!({"model": "simulated", "prompt": "one two three"});
        for (door, body) in [(Door::Chat, chat), (Door::Completions, text)] {
            let body = body.to_string();
            let asked = scan(door, body.as_bytes()).expect("scans");
            let here = Prompter::simulated().tokens(&asked).expect("tokens");
            let request = remote::request(&asked).expect("asks");
            let question = String::from_utf8(request.body).expect("text");
            let answer = replica.ask("POST", request.path, &question).await;
            let there = remote::read(request.path, answer.body.as_bytes()).expect("tokens");
            assert_eq!(*here, *there);
            if door == Door::Chat {
                let answer = replica
                    .ask("POST", "/v1/chat/completions/render", &body)
                    .await;
                let ids: Vec<TokenId> =
                    serde_json::from_value(answer.json()["token_ids"].clone()).expect("ids");
                assert_eq!(*here, *ids);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn small_pages_answer() {
    within(async {
        let replica = start(config()).await;
        assert_eq!(replica.get("/health").await.status, 200);
        assert_eq!(replica.get("/version").await.json()["version"], "0.32.0");
        assert_eq!(replica.get("/load").await.json()["server_load"], 0);
        assert_eq!(replica.get("/nothing").await.status, 404);
        let source = replica.get("/kv_event_sources").await.json()["0"].clone();
        assert_eq!(source["enable_kv_cache_events"], true);
        assert_eq!(source["buffer_steps"], 10_000);
        assert!(
            !source["endpoint"]
                .as_str()
                .expect("an address")
                .ends_with(":0")
        );
        let mut silent = config();
        silent.events = None;
        let page = start(silent).await.get("/kv_event_sources").await;
        assert_eq!(page.json(), json!({}));
    })
    .await;
}
