//! Every event of the captures, recorded from real vLLM 0.32 replicas, decoded and compared with
//! what msgspec decoded from the same bytes.
#![expect(clippy::expect_used, clippy::panic, reason = "a test")]

use onefill_events::{Decoder, Event, Salt};
use onefill_kv::{EngineHash, KeySeed, Tier};
use serde_json::Value;

const CAPTURES: [(&str, &str); 6] = [
    ("lora", include_str!("data/ev-lora.jsonl")),
    ("rank 1", include_str!("data/ev-dp1.jsonl")),
    ("byte hashes", include_str!("data/ev-full.jsonl")),
    ("tiers", include_str!("data/events-TA.jsonl")),
    ("salt", include_str!("data/events-8001.jsonl")),
    ("short", include_str!("data/s1.jsonl")),
];

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
    (0..hex.len()).step_by(2).map(digit).collect()
}

fn hash(value: &Value) -> Option<EngineHash> {
    match value {
        Value::Null => None,
        Value::Number(number) => number.as_u64().map(EngineHash),
        Value::String(text) => EngineHash::from_digest(&bytes(&text[2..])),
        other => panic!("no hash: {other}"),
    }
}

fn tier(event: &Value) -> Tier {
    match (event["medium"].as_str(), event["locality"].as_str()) {
        (Some("GPU"), _) => Tier::Gpu,
        (Some("CPU"), _) => Tier::Cpu,
        (Some("STORAGE"), Some("REMOTE")) => Tier::Remote,
        (Some("STORAGE"), _) => Tier::Disk,
        other => panic!("medium {other:?}"),
    }
}

fn check(event: &Event<'_>, want: &Value) {
    let kind = want["type"].as_str().expect("type");
    let hashes = || {
        want["block_hashes"]
            .as_array()
            .expect("hashes")
            .iter()
            .filter_map(hash)
    };
    match event {
        Event::Stored(stored) => {
            assert_eq!(kind, "BlockStored");
            assert!(stored.blocks.iter().map(|block| block.hash).eq(hashes()));
            assert_eq!(stored.parent, hash(&want["parent_block_hash"]));
            let tokens = want["token_ids"].as_array().expect("tokens");
            let tokens: Vec<u64> = tokens.iter().filter_map(Value::as_u64).collect();
            assert!(
                stored
                    .tokens
                    .iter()
                    .map(|token| u64::from(*token))
                    .eq(tokens)
            );
            assert_eq!(
                Some(u64::from(stored.block_tokens)),
                want["block_size"].as_u64()
            );
            assert_eq!(stored.tier, tier(want));
            assert_eq!(stored.lora, want["lora_name"].as_str());
            assert_eq!(stored.owner, want["ownership"].as_str());
            check_salt(stored.salt, want);
        }
        Event::Removed(removed) => {
            assert_eq!(kind, "BlockRemoved");
            assert!(removed.hashes.iter().copied().eq(hashes()));
            assert_eq!(removed.tier, tier(want));
        }
        Event::Cleared => assert_eq!(kind, "AllBlocksCleared"),
    }
}

fn check_salt(salt: Salt<'_>, want: &Value) {
    let Some(first) = want.get("extra_keys").map(|keys| &keys[0]) else {
        assert_eq!(
            salt,
            Salt::Unknown,
            "extra keys left out: {}",
            want["medium"]
        );
        return;
    };
    let entries = first.as_array().map(Vec::as_slice).unwrap_or_default();
    let own = entries.iter().filter_map(Value::as_str);
    let want_salt = own
        .filter(|text| Some(*text) != want["lora_name"].as_str())
        .last();
    assert_eq!(salt, Salt::Known(want_salt));
}

#[test]
fn captures_decode_to_what_vllm_said() {
    let mut decoder = Decoder::new(KeySeed(1));
    let mut events = 0;
    for (name, capture) in CAPTURES {
        for line in capture.lines() {
            let record: Value = serde_json::from_str(line).expect("JSON");
            let payload = bytes(record["hex"].as_str().expect("hex"));
            let mut want = record["msg"][1].as_array().expect("events").iter();
            let info = decoder
                .decode(&payload, &mut |event| {
                    check(&event, want.next().expect("one more event"))
                })
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(want.next().is_none(), "{name}: an event is missing");
            assert_eq!((info.unknown_events, info.unknown_fields), (0, 0), "{name}");
            assert_eq!(info.rank.map(u64::from), record["msg"][2].as_u64());
            events += info.events;
        }
    }
    assert!(events >= 40, "{events} events compared");
}

#[test]
fn cut_payloads_are_errors_and_never_panics() {
    let mut decoder = Decoder::new(KeySeed(1));
    for line in CAPTURES[3].1.lines().chain(CAPTURES[0].1.lines()) {
        let record: Value = serde_json::from_str(line).expect("JSON");
        let payload = bytes(record["hex"].as_str().expect("hex"));
        for end in 0..payload.len() {
            // A cut that leaves the rank out is a shorter batch; every other cut is an error.
            let cut = decoder.decode(&payload[..end], &mut |_| ());
            assert!(cut.is_err(), "cut at {end} of {}", payload.len());
        }
    }
}

proptest::proptest! {
    #[test]
    fn hostile_bytes_never_panic(payload: Vec<u8>, flip in 0usize..4000, to: u8) {
        let mut decoder = Decoder::new(KeySeed(1));
        drop(decoder.decode(&payload, &mut |_| ()));
        for line in CAPTURES[0].1.lines().take(2) {
            let record: Value = serde_json::from_str(line).expect("JSON");
            let mut payload = bytes(record["hex"].as_str().expect("hex"));
            let place = flip % payload.len();
            payload[place] = to;
            drop(decoder.decode(&payload, &mut |_| ()));
        }
    }
}
