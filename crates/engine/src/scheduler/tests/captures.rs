//! Captured batches of real replicas (vLLM 0.32.0 on CPU), told again by the simulated one: equal
//! to the last byte but for the time.

use super::*;
use onefill_events::encode::{HashForm, OutBatch, Shape, encode};
use serde_json::Value;

struct Record {
    payload: Vec<u8>,
    events: Vec<Value>,
}

fn records(lines: &str) -> Vec<Record> {
    let record = |line: &str| {
        let record: Value = serde_json::from_str(line).expect("JSON");
        let hex = record["hex"].as_str().expect("hex");
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        Record {
            payload: (0..hex.len()).step_by(2).map(byte).collect(),
            events: record["msg"][1].as_array().expect("events").clone(),
        }
    };
    lines.lines().map(record).collect()
}

/// Tokens of the blocks that records tell of.
fn tokens(records: &[Record]) -> Vec<u32> {
    let events = records.iter().flat_map(|record| &record.events);
    let lists = events.filter_map(|event| event["token_ids"].as_array());
    let number = |token: &Value| u32::try_from(token.as_u64().expect("a token")).expect("32 bits");
    lists.flatten().map(number).collect()
}

fn check(told: &[Vec<OutEvent>], form: HashForm, records: &[Record]) {
    for (place, (events, record)) in told.iter().zip(records).enumerate() {
        let batch = OutBatch {
            published_s: 0.0,
            events: events.clone(),
            rank: Some(0),
        };
        let mut payload = Vec::new();
        encode(&batch, Shape::Maps, form, &mut payload);
        assert_eq!(payload[..2], record.payload[..2]);
        assert!(payload[10..] == record.payload[10..], "batch {place}");
    }
    assert_eq!(told.len(), records.len());
}

/// A salted prompt, a long one in chunks, another that evicts both, and a clear.
#[test]
fn chunks_evictions_and_a_clear_are_told_as_vllm_did() {
    let records = records(include_str!("../../../tests/data/s2.jsonl"));
    let cache = cache(129, 32, Algorithm::Sha256, None);
    let mut desk = Desk::new(&cache, 8, 512);
    let salted = [tokens(&records[..1]), vec![1, 2, 3, 4, 5, 6]].concat();
    desk.ask(&Ask {
        prompt: &salted,
        answer: &[7, 8],
        salt: Some("tenant-a"),
        ..Ask::default()
    });
    for range in [1..10, 10..19] {
        // All but the last of their tokens are the prompt's: the answer's first fills a block.
        let tokens = tokens(&records[range]);
        let (first, prompt) = tokens.split_last().expect("tokens");
        let answer = [*first, 9];
        let ask = Ask {
            prompt,
            answer: &answer,
            ..Ask::default()
        };
        desk.ask(&ask);
    }
    assert!(desk.scheduler.reset());
    assert_eq!(desk.told.len(), 19, "nothing is told before the next step");
    desk.ask(&Ask {
        prompt: &[1, 2, 3],
        answer: &[4],
        ..Ask::default()
    });
    check(&desk.told, HashForm::Int, &records);
}

#[test]
fn adapters_and_salts_are_told_as_vllm_did() {
    // Of these records 0 and 3 are the engine's own cache; others are offload tiers.
    let mut all = records(include_str!("../../../tests/data/ev-lora.jsonl"));
    let adapted = all.remove(3);
    let records = [all.remove(0), adapted];
    let cache = cache(160, 32, Algorithm::Sha256, Some("0"));
    let mut desk = Desk::new(&cache, 8, 512);
    let adapter = Arc::new(Adapter {
        name: "my-lora".into(),
        path: ["", "tmp", "tinylora"].join("/"),
        number: 1,
    });
    for (record, lora) in records.iter().zip([None, Some(adapter)]) {
        let prompt = [tokens(std::slice::from_ref(record)), vec![1]].concat();
        let cached = desk.ask(&Ask {
            prompt: &prompt,
            answer: &[2],
            lora,
            salt: Some("s3cret"),
        });
        assert_eq!(cached, 0, "adapters don't share blocks");
    }
    check(&desk.told, HashForm::Int, &records);
}

#[test]
fn raw_digests_are_told_as_vllm_did() {
    let records = records(include_str!("../../../tests/data/s1.jsonl"));
    let cache = cache(160, 32, Algorithm::Sha256Cbor, None);
    let mut desk = Desk::new(&cache, 8, 512);
    desk.ask(&Ask {
        prompt: &[tokens(&records), vec![1]].concat(),
        answer: &[2],
        salt: Some("tenant-a"),
        ..Ask::default()
    });
    assert!(desk.scheduler.reset());
    desk.ask(&Ask {
        prompt: &[1],
        answer: &[2],
        ..Ask::default()
    });
    check(&desk.told, HashForm::Digest, &records);
}
