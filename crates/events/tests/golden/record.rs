//! One recorded batch: its bytes, and what msgspec made of them.

use onefill_kv::engine_hash::Digest;
use serde_json::Value;

/// Captures: what they show, and their lines.
pub const CAPTURES: [(&str, &str); 8] = [
    ("rank 1", include_str!("../data/ev-dp1.jsonl")),
    (
        "two runs of one rank",
        include_str!("../data/ev-full.jsonl"),
    ),
    (
        "LoRA, salts and tiers",
        include_str!("../data/ev-lora.jsonl"),
    ),
    ("salt", include_str!("../data/events-8001.jsonl")),
    ("tiers, digests", include_str!("../data/events-TA.jsonl")),
    (
        "tiers, digests, shared",
        include_str!("../data/events-TB.jsonl"),
    ),
    (
        "one salted block, digests",
        include_str!("../data/s1.jsonl"),
    ),
    ("evictions and a clear", include_str!("../data/s2.jsonl")),
];

pub struct Record {
    pub payload: Vec<u8>,
    pub published_s: f64,
    pub events: Vec<Value>,
    pub rank: u32,
}

pub fn records(lines: &str) -> impl Iterator<Item = Record> {
    lines.lines().map(|line| {
        let record: Value = serde_json::from_str(line).expect("JSON");
        let payload = bytes(record["hex"].as_str().expect("hex"));
        // serde_json reads floats to the last bit but one, so the bits come from the payload.
        let published_s = f64::from_be_bytes(payload[2..10].try_into().expect("eight bytes"));
        assert!((published_s - record["msg"][0].as_f64().expect("time")).abs() < 1e-6);
        Record {
            payload,
            published_s,
            events: record["msg"][1].as_array().expect("events").clone(),
            rank: number(&record["msg"][2]).expect("rank"),
        }
    })
}

pub fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
    (0..hex.len()).step_by(2).map(digit).collect()
}

pub fn number(value: &Value) -> Option<u32> {
    value
        .as_u64()
        .map(|number| u32::try_from(number).expect("32 bits"))
}

/// A hash of either form. Of a number only the last eight bytes are known.
pub fn digest(value: &Value) -> Option<Digest> {
    match value {
        Value::Null => None,
        Value::Number(number) => Digest::new(&number.as_u64().expect("64 bits").to_be_bytes()),
        Value::String(text) => Digest::new(&bytes(&text[2..])),
        other => panic!("no hash: {other}"),
    }
}

pub fn digests(event: &Value) -> Vec<Digest> {
    let hashes = event["block_hashes"].as_array().expect("hashes");
    hashes.iter().filter_map(digest).collect()
}

pub fn tokens(event: &Value) -> Vec<u32> {
    let tokens = event["token_ids"].as_array().expect("tokens");
    tokens.iter().filter_map(number).collect()
}
