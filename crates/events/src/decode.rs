//! vLLM's event batches (`vllm/distributed/kv_events.py`), both wire shapes.
//!
//! ```text
//! payload   [ts: f64, [event..], rank: int | nil]        trailing fields may be missing
//! event     {"type": NAME, FIELD: value, ..}             vLLM >= 0.27
//!           [NAME, value, ..]  in the order of FIELDS    vLLM <= 0.22
//! NAME      BlockStored | BlockRemoved | AllBlocksCleared
//! ```
//!
//! **Bounds.** A payload is at most [`PAYLOAD_BYTES_MAX`] long. A list never makes room for more
//! elements than the payload has bytes left, so N bytes allocate at most 28 N: eight a hash, four a
//! token, sixteen a block. Nesting is followed sixteen deep.

mod extra_keys;
mod fields;
mod tier;

use crate::{
    BatchInfo, DecodeError, Event, Removed, Salt, Stored, StoredBlock,
    msgpack::{Cursor, Value},
};
use extra_keys::ExtraKeys;
use fields::{Fields, Kind};
use onefill_kv::{EngineHash, KeySeed};

/// Longest payload that is read. vLLM sends one batch a scheduler step: of a step's tokens at five
/// bytes each, and of its removals at some fifty.
pub const PAYLOAD_BYTES_MAX: usize = 64 << 20;

/// Decodes payloads of any number of feeds. Keeps its buffers between calls.
#[derive(Debug)]
pub struct Decoder {
    seed: KeySeed,
    lists: Lists,
    blocks: Vec<StoredBlock>,
}

/// Lists of the event being read.
#[derive(Debug, Default)]
struct Lists {
    hashes: Vec<EngineHash>,
    tokens: Vec<u32>,
}

type Read<T> = Result<T, DecodeError>;

impl Decoder {
    /// A decoder that hashes token blocks with `seed`.
    #[must_use]
    pub fn new(seed: KeySeed) -> Self {
        Self {
            seed,
            lists: Lists::default(),
            blocks: Vec::new(),
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
        if payload.len() > PAYLOAD_BYTES_MAX {
            return cursor.fail("the payload is longer than any batch");
        }
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
        match cursor.left() {
            0 => Ok(info),
            _ => cursor.fail("the batch ends before the payload"),
        }
    }

    fn event(
        &mut self,
        cursor: &mut Cursor<'_>,
        info: &mut BatchInfo,
        apply: &mut dyn FnMut(Event<'_>),
    ) -> Read<()> {
        let fields = Fields::read(cursor, &mut self.lists, &mut info.unknown_fields)?;
        let tier = tier::of(fields.medium, fields.locality);
        match (fields.kind, tier) {
            (Kind::Stored, Some(tier)) => {
                if !self.hash_blocks(&fields) {
                    info.undescribed_events += 1;
                    return Ok(());
                }
                apply(Event::Stored(self.stored(&fields, tier)?));
            }
            (Kind::Removed, Some(tier)) => apply(Event::Removed(Removed {
                hashes: &self.lists.hashes,
                tier,
                group: fields.group,
            })),
            (Kind::Cleared, _) => apply(Event::Cleared),
            (Kind::Unknown, _) | (_, None) => {
                info.unknown_events += 1;
                return Ok(());
            }
        }
        info.events += 1;
        Ok(())
    }

    /// Hashes the tokens of each block; `false` where they don't tell of what each block consists:
    /// offload tiers that don't describe themselves send none, and groups that keep only some
    /// blocks (sliding windows, Mamba) send the tokens of all.
    fn hash_blocks(&mut self, fields: &Fields<'_>) -> bool {
        let Lists { hashes, tokens } = &self.lists;
        let block_tokens = fields.block_size as usize;
        if block_tokens == 0 || hashes.len().checked_mul(block_tokens) != Some(tokens.len()) {
            return false;
        }
        let seed = self.seed;
        let pieces = hashes.iter().zip(tokens.chunks_exact(block_tokens));
        self.blocks.clear();
        self.blocks.extend(pieces.map(|(hash, tokens)| StoredBlock {
            hash: *hash,
            content: seed.content(tokens),
        }));
        true
    }

    fn stored<'a>(&'a mut self, fields: &Fields<'a>, tier: onefill_kv::Tier) -> Read<Stored<'a>> {
        let salt = match fields.extra_keys {
            Some(keys) => ExtraKeys::new(fields, self.seed).mix(keys, &mut self.blocks)?,
            None => Salt::Unknown,
        };
        Ok(Stored {
            blocks: &self.blocks,
            tokens: &self.lists.tokens,
            parent: fields.parent,
            block_tokens: fields.block_size,
            tier,
            lora: fields.lora,
            salt,
            group: fields.group,
            full_attention: fields.full_attention,
            owner: fields.owner,
        })
    }
}

/// A hash as a number or a digest.
#[inline]
fn hash(cursor: &mut Cursor<'_>) -> Read<Option<EngineHash>> {
    if let Some(number) = cursor.u64_head() {
        return Ok(Some(EngineHash(number)));
    }
    let start = *cursor;
    match cursor.value()? {
        Value::Unsigned(number) => Ok(Some(EngineHash(number))),
        Value::Bytes(digest) => match EngineHash::from_digest(digest) {
            Some(hash) => Ok(Some(hash)),
            None => start.fail("a hash is shorter than eight bytes"),
        },
        Value::Nil => Ok(None),
        _ => start.fail("expected a hash"),
    }
}
