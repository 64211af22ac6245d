//! Each field of each event, compared with what msgspec read from the same bytes.

use crate::record::{CAPTURES, digest, digests, number, records, tokens};
use onefill_events::{Decoder, Event, Removed, Salt, Stored};
use onefill_kv::{KeySeed, Tier, engine_hash::Digest};
use serde_json::Value;

const SEED: KeySeed = KeySeed(1);

fn tier(event: &Value) -> Tier {
    match (event["medium"].as_str(), event["locality"].as_str()) {
        (Some("GPU"), None) => Tier::Gpu,
        (Some("CPU"), None) => Tier::Cpu,
        (Some("STORAGE"), Some("REMOTE")) => Tier::Remote,
        other => panic!("medium {other:?}"),
    }
}

fn check(event: &Event<'_>, want: &Value) {
    let kind = want["type"].as_str().expect("type");
    match event {
        Event::Stored(stored) => {
            assert_eq!(kind, "BlockStored");
            check_stored(stored, want);
        }
        Event::Removed(Removed {
            hashes,
            tier: from,
            group,
        }) => {
            assert_eq!(kind, "BlockRemoved");
            let want_hashes: Vec<_> = digests(want).iter().map(Digest::engine_hash).collect();
            assert_eq!(**hashes, want_hashes);
            assert_eq!(*from, tier(want));
            assert_eq!(Some(*group), number(&want["group_idx"]));
        }
        Event::Cleared => assert_eq!(kind, "AllBlocksCleared"),
    }
}

fn check_stored(stored: &Stored<'_>, want: &Value) {
    let hashes = digests(want);
    let tokens = tokens(want);
    let size = number(&want["block_size"]).expect("size");
    assert_eq!(stored.blocks.len(), hashes.len());
    for ((block, hash), tokens) in stored
        .blocks
        .iter()
        .zip(hashes)
        .zip(tokens.chunks(size as usize))
    {
        assert_eq!(block.hash, hash.engine_hash());
        assert_eq!(block.content, SEED.content(tokens));
    }
    assert_eq!(stored.tokens, tokens);
    assert_eq!(
        stored.parent,
        digest(&want["parent_block_hash"]).map(|parent| parent.engine_hash())
    );
    assert_eq!(stored.block_tokens, size);
    assert_eq!(stored.tier, tier(want));
    assert_eq!(stored.lora, want["lora_name"].as_str());
    assert_eq!(stored.owner, want["ownership"].as_str());
    assert_eq!(Some(stored.group), number(&want["group_idx"]));
    assert_eq!(
        stored.full_attention,
        want["kv_cache_spec_kind"] == "full_attention"
    );
    assert_eq!(stored.salt, salt(want));
}

/// The captures' extra keys are the adapter's name and the salt behind it.
fn salt(want: &Value) -> Salt<'_> {
    let Some(keys) = want.get("extra_keys") else {
        return Salt::Unknown;
    };
    let entries = keys[0].as_array().map_or(&[][..], Vec::as_slice);
    let named = usize::from(want["lora_name"].is_string());
    Salt::Known(entries.get(named).and_then(Value::as_str))
}

#[test]
fn captures_say_what_vllm_said() {
    let mut decoder = Decoder::new(SEED);
    let mut events = 0;
    for (name, capture) in CAPTURES {
        for record in records(capture) {
            let mut want = record.events.iter();
            let mut compare =
                |event: Event<'_>| check(&event, want.next().expect("one more event"));
            let decoded = decoder.decode(&record.payload, &mut compare);
            let info = decoded.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(want.next().is_none(), "{name}: an event is missing");
            assert_eq!(
                (
                    info.unknown_events,
                    info.undescribed_events,
                    info.unknown_fields
                ),
                (0, 0, 0),
                "{name}"
            );
            assert_eq!(info.rank, Some(record.rank));
            assert_eq!(info.published_s.to_bits(), record.published_s.to_bits());
            events += info.events;
        }
    }
    assert_eq!(events, 175);
}
