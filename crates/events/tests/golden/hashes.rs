//! Every block hash of the captures, recomputed from its tokens: kv's engine hashes are vLLM's.

use crate::record::{CAPTURES, digest, digests, records, tokens};
use onefill_kv::{
    EngineHash,
    engine_hash::{Algorithm, Digest, EngineHasher, Extra},
};
use serde_json::Value;
use std::collections::HashMap;

/// The replica's algorithm and `PYTHONHASHSEED` of each capture, and how many blocks it names.
const REPLICAS: [(Algorithm, Option<&str>, usize); 8] = [
    (Algorithm::Sha256, Some("0"), 6),
    (Algorithm::Sha256Cbor, Some("0"), 8),
    (Algorithm::Sha256, Some("0"), 36),
    (Algorithm::Sha256, Some("0"), 17),
    (Algorithm::Sha256Cbor, Some("0"), 33),
    (Algorithm::Sha256Cbor, Some("0"), 12),
    (Algorithm::Sha256Cbor, None, 1),
    (Algorithm::Sha256, None, 231),
];

/// What the replica of a capture knows, and who comes after whom.
struct Replica {
    hasher: EngineHasher,
    /// Digests by their short form: all that events tell of a parent.
    digests: HashMap<EngineHash, Digest>,
    /// Extra keys of blocks, which offload tiers leave out.
    lora_path: String,
    salts: HashMap<EngineHash, String>,
}

impl Replica {
    /// Recomputes one event's hashes; gives how many there were.
    fn check(&mut self, event: &Value) -> usize {
        let mut parent = match digest(&event["parent_block_hash"]) {
            None => self.hasher.none_hash(),
            Some(short) => self.digests[&short.engine_hash()],
        };
        let size = usize::try_from(event["block_size"].as_u64().expect("size")).expect("size");
        let hashes = digests(event);
        for (place, (tokens, want)) in tokens(event).chunks(size).zip(&hashes).enumerate() {
            let short = want.engine_hash();
            if let Some(salt) = salt(event, place) {
                self.salts.insert(short, salt);
            }
            let lora = event["lora_name"].as_str();
            let path = self.lora_path.as_str();
            let lora = lora.map(|name| Extra::Lora { name, path });
            let salt = self.salts.get(&short).map(|salt| Extra::Salt(salt));
            let extras: Vec<_> = lora.into_iter().chain(salt).collect();
            parent = self.hasher.block(&parent, tokens, &extras);
            assert_eq!(parent.engine_hash(), short);
            if want.as_bytes().len() > 8 {
                assert_eq!(parent, *want);
            }
            self.digests.insert(short, parent);
        }
        hashes.len()
    }
}

/// The salt of the block at `place`: the entry that is not the adapter's name.
fn salt(event: &Value, place: usize) -> Option<String> {
    let entries = event["extra_keys"][place].as_array()?;
    let named = usize::from(event["lora_name"].is_string());
    entries.get(named)?.as_str().map(str::to_owned)
}

#[test]
fn hashes_are_vllms() {
    for ((name, capture), (algorithm, seed, blocks)) in CAPTURES.into_iter().zip(REPLICAS) {
        let mut replica = Replica {
            hasher: EngineHasher::new(algorithm, seed, true),
            digests: HashMap::new(),
            // Where the adapter lay on the machine of the recording: vLLM hashes it.
            lora_path: ["", "tmp", "tinylora"].join("/"),
            salts: HashMap::new(),
        };
        let events: Vec<_> = records(capture).flat_map(|record| record.events).collect();
        let stored = events.iter().filter(|event| event["type"] == "BlockStored");
        assert_eq!(
            stored.map(|event| replica.check(event)).sum::<usize>(),
            blocks,
            "{name}"
        );
    }
}
