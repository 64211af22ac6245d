//! The encoder's bytes are vLLM's: captured batches, written again from what msgspec read.

use crate::record::{CAPTURES, Record, digest, digests, number, records, tokens};
use onefill_events::encode::{
    ExtraKey, HashForm, OutBatch, OutEvent, OutRemoved, OutStored, Shape, Text, encode,
};
use serde_json::Value;

fn text(value: &Value) -> Option<Text> {
    value.as_str().map(|text| text.to_owned().into())
}

fn extra_keys(block: &Value) -> Vec<ExtraKey> {
    let entries = block.as_array().map_or(&[][..], Vec::as_slice);
    let owned = |entry: &Value| ExtraKey::Text(entry.as_str().expect("text").to_owned());
    entries.iter().map(owned).collect()
}

fn out(event: &Value) -> OutEvent {
    match event["type"].as_str() {
        Some("BlockStored") => OutEvent::Stored(OutStored {
            hashes: digests(event),
            parent: digest(&event["parent_block_hash"]),
            tokens: tokens(event),
            block_size: number(&event["block_size"]).expect("size"),
            lora_id: number(&event["lora_id"]),
            medium: text(&event["medium"]),
            lora_name: event["lora_name"].as_str().map(str::to_owned),
            extra_keys: event["extra_keys"]
                .as_array()
                .map(|keys| keys.iter().map(extra_keys).collect()),
            group: number(&event["group_idx"]),
            kind: text(&event["kv_cache_spec_kind"]),
            sliding_window: number(&event["kv_cache_spec_sliding_window"]),
            locality: text(&event["locality"]),
            owner: text(&event["ownership"]),
            session: event["session_id"].as_str().map(str::to_owned),
        }),
        Some("BlockRemoved") => OutEvent::Removed(OutRemoved {
            hashes: digests(event),
            medium: text(&event["medium"]),
            group: number(&event["group_idx"]),
            locality: text(&event["locality"]),
            owner: text(&event["ownership"]),
        }),
        _ => OutEvent::Cleared,
    }
}

fn form(record: &Record) -> HashForm {
    let raw = |event: &Value| event["block_hashes"][0].is_string();
    if record.events.iter().any(raw) {
        HashForm::Digest
    } else {
        HashForm::Int
    }
}

#[test]
fn captures_are_written_byte_for_byte() {
    let mut bytes = Vec::new();
    for (name, capture) in CAPTURES {
        for record in records(capture) {
            let batch = OutBatch {
                published_s: record.published_s,
                events: record.events.iter().map(out).collect(),
                rank: Some(record.rank),
            };
            bytes.clear();
            encode(&batch, Shape::Maps, form(&record), &mut bytes);
            assert!(bytes == record.payload, "{name}");
        }
    }
}
