//! vLLM's event batches (`vllm/distributed/kv_events.py`), both wire shapes.
//!
//! ```text
//! payload   [ts: f64, [event..], rank: int | nil]        trailing fields may be missing
//! event     {"type": NAME, FIELD: value, ..}             vLLM >= 0.27
//!           [NAME, value, ..]  in the order of FIELDS    vLLM <= 0.22
//! NAME      BlockStored | BlockRemoved | AllBlocksCleared
//! ```
//!
//! A list never makes room for more elements than the payload has bytes left, so a hostile
//! payload of N bytes allocates at most some 20 N.

use crate::{
    BatchInfo, DecodeError, Event, Removed, Salt, Stored, StoredBlock,
    msgpack::{Cursor, Value},
};
use onefill_kv::{EngineHash, KeySeed, Tier};

/// Fields of `BlockStored` in the order of the tagged arrays.
const STORED_FIELDS: [&str; 14] = [
    "block_hashes",
    "parent_block_hash",
    "token_ids",
    "block_size",
    "lora_id",
    "medium",
    "lora_name",
    "extra_keys",
    "group_idx",
    "kv_cache_spec_kind",
    "kv_cache_spec_sliding_window",
    "locality",
    "ownership",
    "session_id",
];
/// Fields of `BlockRemoved` in the order of the tagged arrays.
const REMOVED_FIELDS: [&str; 5] = [
    "block_hashes",
    "medium",
    "group_idx",
    "locality",
    "ownership",
];

/// Decodes payloads of one feed. Keeps its buffers between calls.
#[derive(Debug)]
pub struct Decoder {
    seed: KeySeed,
    hashes: Vec<EngineHash>,
    tokens: Vec<u32>,
    blocks: Vec<StoredBlock>,
    /// For each block the serialised extra keys that are its own (images, embeddings).
    extras: Vec<(usize, Vec<u8>)>,
}

/// One event's fields as read; borrowed texts live in the payload.
#[derive(Default)]
struct Fields<'a> {
    parent: Option<EngineHash>,
    block_size: u32,
    medium: Option<&'a str>,
    lora_name: Option<&'a str>,
    lora_id: Option<u32>,
    extra_keys: Option<Cursor<'a>>,
    group: u32,
    kind: Option<&'a str>,
    locality: Option<&'a str>,
    owner: Option<&'a str>,
}

type Read<T> = Result<T, DecodeError>;

impl Decoder {
    /// A decoder that hashes token blocks with `seed`.
    pub fn new(seed: KeySeed) -> Self {
        Self {
            seed,
            hashes: Vec::new(),
            tokens: Vec::new(),
            blocks: Vec::new(),
            extras: Vec::new(),
        }
    }

    /// Decodes one payload (the third frame of a ZMQ message), calling `apply` for each event in
    /// order. On an error events before it have been applied; the caller treats the batch as lost.
    pub fn decode(
        &mut self,
        payload: &[u8],
        apply: &mut dyn FnMut(Event<'_>),
    ) -> Result<BatchInfo, DecodeError> {
        let mut cursor = Cursor::new(payload);
        let fields = cursor.array()?;
        if fields < 2 {
            return cursor.fail("a batch has a time and events");
        }
        let mut info = BatchInfo {
            published_s: cursor.float()?,
            ..BatchInfo::default()
        };
        for _ in 0..cursor.array()? {
            self.event(&mut cursor, &mut info, apply)?;
        }
        if fields > 2 {
            info.rank = cursor.optional_u32()?;
        }
        for _ in 3..fields {
            cursor.skip()?;
            info.unknown_fields += 1;
        }
        Ok(info)
    }

    fn event<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        info: &mut BatchInfo,
        apply: &mut dyn FnMut(Event<'_>),
    ) -> Read<()> {
        self.hashes.clear();
        self.tokens.clear();
        let start = *cursor;
        let (name, fields) = match cursor.value()? {
            Value::Map(pairs) => self.map_event(cursor, pairs, info)?,
            Value::Array(count @ 1..) => self.array_event(cursor, count - 1, info)?,
            _ => return start.fail("expected an event"),
        };
        let tier = tier_of(fields.medium, fields.locality);
        match (name, tier) {
            ("BlockStored", Some(tier)) => self.stored(start, &fields, tier, apply)?,
            ("BlockRemoved", Some(tier)) => {
                let hashes = &self.hashes;
                apply(Event::Removed(Removed {
                    hashes,
                    tier,
                    group: fields.group,
                }));
            }
            ("AllBlocksCleared", _) => apply(Event::Cleared),
            _ => {
                info.unknown_events += 1;
                return Ok(());
            }
        }
        info.events += 1;
        Ok(())
    }

    /// A map: its type stands under "type", usually first, but not to be relied on.
    fn map_event<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        pairs: usize,
        info: &mut BatchInfo,
    ) -> Read<(&'a str, Fields<'a>)> {
        let mut name = "";
        let mut fields = Fields::default();
        for _ in 0..pairs {
            let Some(field) = cursor.optional_text()? else {
                return cursor.fail("a field has no name");
            };
            if field == "type" {
                name = cursor.optional_text()?.unwrap_or_default();
            } else if !self.field(field, cursor, &mut fields)? {
                cursor.skip()?;
                info.unknown_fields += 1;
            }
        }
        Ok((name, fields))
    }

    fn array_event<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        count: usize,
        info: &mut BatchInfo,
    ) -> Read<(&'a str, Fields<'a>)> {
        let name = cursor.optional_text()?.unwrap_or_default();
        let known: &[&str] = match name {
            "BlockStored" => &STORED_FIELDS,
            "BlockRemoved" => &REMOVED_FIELDS,
            _ => &[],
        };
        let mut fields = Fields::default();
        for place in 0..count {
            let read = match known.get(place) {
                Some(field) => self.field(field, cursor, &mut fields)?,
                None => false,
            };
            if !read {
                cursor.skip()?;
                info.unknown_fields += u32::from(known.get(place).is_none());
            }
        }
        Ok((name, fields))
    }

    /// Reads one field's value; `false`: not a field that matters, nothing read.
    fn field<'a>(
        &mut self,
        name: &str,
        cursor: &mut Cursor<'a>,
        fields: &mut Fields<'a>,
    ) -> Read<bool> {
        match name {
            "block_hashes" => {
                for _ in 0..cursor.array()? {
                    let Some(hash) = hash(cursor)? else {
                        return cursor.fail("a hash is nil");
                    };
                    self.hashes.push(hash);
                }
            }
            "parent_block_hash" => fields.parent = hash(cursor)?,
            "token_ids" => cursor.tokens(&mut self.tokens)?,
            "block_size" => fields.block_size = cursor.optional_u32()?.unwrap_or_default(),
            "medium" => fields.medium = cursor.optional_text()?,
            "lora_name" => fields.lora_name = cursor.optional_text()?,
            "lora_id" => fields.lora_id = cursor.optional_u32()?,
            "extra_keys" => {
                fields.extra_keys = Some(*cursor);
                cursor.skip()?;
            }
            "group_idx" => fields.group = cursor.optional_u32()?.unwrap_or_default(),
            "kv_cache_spec_kind" => fields.kind = cursor.optional_text()?,
            "locality" => fields.locality = cursor.optional_text()?,
            "ownership" => fields.owner = cursor.optional_text()?,
            "kv_cache_spec_sliding_window" | "session_id" => cursor.skip()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn stored(
        &mut self,
        start: Cursor<'_>,
        fields: &Fields<'_>,
        tier: Tier,
        apply: &mut dyn FnMut(Event<'_>),
    ) -> Read<()> {
        let block_tokens = fields.block_size as usize;
        let wanted = self.hashes.len().checked_mul(block_tokens);
        if block_tokens == 0 || wanted != Some(self.tokens.len()) {
            return start.fail("token_ids is not block_size for each of block_hashes");
        }
        self.extras.clear();
        let salt = match fields.extra_keys {
            Some(mut keys) => self.extra_keys(&mut keys, fields)?,
            // The engine's own cache leaves extra keys out only where no block has any.
            None if tier == Tier::Gpu => Salt::Known(None),
            None => Salt::Unknown,
        };
        self.blocks.clear();
        let pieces = self
            .hashes
            .iter()
            .zip(self.tokens.chunks_exact(block_tokens));
        self.blocks.extend(pieces.map(|(hash, tokens)| StoredBlock {
            hash: *hash,
            content: self.seed.content(tokens),
        }));
        for (block, extra) in &self.extras {
            if let Some(block) = self.blocks.get_mut(*block) {
                block.content = self.seed.content_with(block.content, extra);
            }
        }
        let adapter_number = fields.lora_id.filter(|_| fields.lora_name.is_none());
        let numbered = adapter_number.map(|number| format!("lora-{number}"));
        apply(Event::Stored(Stored {
            blocks: &self.blocks,
            tokens: &self.tokens,
            parent: fields.parent,
            block_tokens: fields.block_size,
            tier,
            lora: fields.lora_name.or(numbered.as_deref()),
            salt,
            group: fields.group,
            full_attention: fields
                .kind
                .is_none_or(|kind| kind.contains("full") || kind.contains("mla")),
            owner: fields.owner,
        }));
        Ok(())
    }

    /// Extra keys, an entry a block: the adapter's name (known already), `[image, offset]` pairs,
    /// an embedding's digest, and in block 0 the salt. Also takes tagged pairs.
    fn extra_keys<'a>(&mut self, cursor: &mut Cursor<'a>, fields: &Fields<'a>) -> Read<Salt<'a>> {
        let mut salt = None;
        let blocks = match cursor.value()? {
            Value::Array(count) if count <= cursor.left() => count,
            Value::Nil => return Ok(Salt::Known(None)),
            _ => return cursor.fail("expected extra keys a block"),
        };
        for block in 0..blocks {
            let entries = match cursor.value()? {
                Value::Nil => continue,
                Value::Array(entries) if entries <= cursor.left() => entries,
                _ => return cursor.fail("expected a block's extra keys"),
            };
            let mut named_adapter = fields.lora_name.is_none();
            for _ in 0..entries {
                let mut entry = *cursor;
                cursor.skip()?;
                match entry.value()? {
                    Value::Text(text) if !named_adapter && Some(text) == fields.lora_name => {
                        named_adapter = true;
                    }
                    Value::Text(text) if block == 0 => salt = Some(text),
                    Value::Array(2..) => match entry.value()? {
                        Value::Text("cache_salt") => salt = entry.optional_text()?,
                        Value::Text("lora") => named_adapter = true,
                        Value::Text(identity) => {
                            self.own(block, identity.as_bytes(), &mut entry)?;
                        }
                        _ => return cursor.fail("an extra key has no name"),
                    },
                    Value::Text(text) => self.own(block, text.as_bytes(), &mut entry)?,
                    Value::Bytes(bytes) => self.own(block, bytes, &mut entry)?,
                    _ => self.own(block, b"other", &mut entry)?,
                }
            }
        }
        Ok(Salt::Known(salt))
    }

    /// Notes an extra key that is the block's own.
    fn own(&mut self, block: usize, identity: &[u8], rest: &mut Cursor<'_>) -> Read<()> {
        let mut extra = identity.to_vec();
        if let Ok(Value::Unsigned(offset)) = rest.value() {
            extra.extend(offset.to_le_bytes());
        }
        self.extras.push((block, extra));
        Ok(())
    }
}

fn hash(cursor: &mut Cursor<'_>) -> Read<Option<EngineHash>> {
    let start = *cursor;
    match cursor.value()? {
        Value::Unsigned(number) => Ok(Some(EngineHash(number))),
        Value::Negative(number) => Ok(Some(EngineHash(number.cast_unsigned()))),
        Value::Bytes(digest) => match EngineHash::from_digest(digest) {
            Some(hash) => Ok(Some(hash)),
            None => start.fail("a hash is shorter than eight bytes"),
        },
        Value::Nil => Ok(None),
        _ => start.fail("expected a hash"),
    }
}

/// Medium names of vLLM and of older releases; `None`: not known, the event is skipped.
fn tier_of(medium: Option<&str>, locality: Option<&str>) -> Option<Tier> {
    match medium {
        None | Some("GPU") => Some(Tier::Gpu),
        Some("CPU" | "CPU_PINNED" | "CPU_TIER1" | "CPU_TIER2") => Some(Tier::Cpu),
        Some("STORAGE") if locality == Some("REMOTE") => Some(Tier::Remote),
        Some("STORAGE" | "DISK") => Some(Tier::Disk),
        Some("EXTERNAL" | "REMOTE") => Some(Tier::Remote),
        Some(_) => None,
    }
}
