//! The fields of one event.

use super::{Lists, Read, hash};
use crate::msgpack::{Cursor, Value};
use onefill_kv::EngineHash;

/// What an event is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Kind {
    Stored,
    Removed,
    Cleared,
    #[default]
    Unknown,
}

/// A field that means something to us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Field {
    Hashes,
    Parent,
    Tokens,
    BlockSize,
    LoraId,
    Medium,
    LoraName,
    ExtraKeys,
    Group,
    SpecKind,
    Locality,
    Owner,
    /// Known, and of no use here.
    Skipped,
}

/// Fields of `BlockStored` in the order of the tagged arrays, which maps keep too.
const STORED: [(&[u8], Field); 14] = [
    (b"block_hashes", Field::Hashes),
    (b"parent_block_hash", Field::Parent),
    (b"token_ids", Field::Tokens),
    (b"block_size", Field::BlockSize),
    (b"lora_id", Field::LoraId),
    (b"medium", Field::Medium),
    (b"lora_name", Field::LoraName),
    (b"extra_keys", Field::ExtraKeys),
    (b"group_idx", Field::Group),
    (b"kv_cache_spec_kind", Field::SpecKind),
    (b"kv_cache_spec_sliding_window", Field::Skipped),
    (b"locality", Field::Locality),
    (b"ownership", Field::Owner),
    (b"session_id", Field::Skipped),
];
/// Fields of `BlockRemoved`, likewise.
const REMOVED: [(&[u8], Field); 5] = [
    (b"block_hashes", Field::Hashes),
    (b"medium", Field::Medium),
    (b"group_idx", Field::Group),
    (b"locality", Field::Locality),
    (b"ownership", Field::Owner),
];

/// What one event says, but for its lists. Texts lie in the payload.
#[derive(Default)]
pub(super) struct Fields<'a> {
    pub(super) kind: Kind,
    pub(super) parent: Option<EngineHash>,
    pub(super) block_size: u32,
    pub(super) medium: Option<&'a [u8]>,
    /// The adapter's name.
    pub(super) lora: Option<&'a str>,
    /// Where the extra keys stand; `None`: left out, or nil.
    pub(super) extra_keys: Option<Cursor<'a>>,
    pub(super) group: u32,
    pub(super) full_attention: bool,
    pub(super) locality: Option<&'a [u8]>,
    pub(super) owner: Option<&'a str>,
    /// The adapter has a number; releases before `lora_name` tell no more.
    adapter: bool,
}

/// Name of an adapter of which only the number is known. No request can name it: "/" at the end
/// is no model's.
const UNNAMED_ADAPTER: &str = "unnamed adapter/";

impl<'a> Fields<'a> {
    pub(super) fn read(
        cursor: &mut Cursor<'a>,
        lists: &mut Lists,
        unknown_fields: &mut u32,
    ) -> Read<Self> {
        lists.hashes.clear();
        lists.tokens.clear();
        let start = *cursor;
        let mut fields = Self {
            full_attention: true,
            ..Self::default()
        };
        match cursor.value()? {
            Value::Map(pairs) => fields.map(cursor, pairs, lists, unknown_fields)?,
            Value::Array(count @ 1..) => fields.array(cursor, count, lists, unknown_fields)?,
            _ => return start.fail("expected an event"),
        }
        if fields.adapter && fields.lora.is_none() {
            fields.lora = Some(UNNAMED_ADAPTER);
        }
        Ok(fields)
    }

    /// A map. vLLM writes the type first and the fields in order, which is read fast; what is left,
    /// in whatever order, by name.
    fn map(
        &mut self,
        cursor: &mut Cursor<'a>,
        pairs: usize,
        lists: &mut Lists,
        unknown_fields: &mut u32,
    ) -> Read<()> {
        let read = self.in_order(cursor, pairs, lists)?;
        for _ in read..pairs {
            let name = cursor.name()?;
            if name == b"type" {
                self.kind = kind(cursor)?;
            } else if self.kind == Kind::Unknown && read > 0 {
                cursor.skip()?;
            } else if let Some((_, field)) = STORED.iter().find(|(known, _)| *known == name) {
                self.field(*field, cursor, lists)?;
            } else {
                cursor.skip()?;
                *unknown_fields += 1;
            }
        }
        Ok(())
    }

    /// Reads the type and the fields as long as they come in order; gives how many pairs that was.
    fn in_order(
        &mut self,
        cursor: &mut Cursor<'a>,
        pairs: usize,
        lists: &mut Lists,
    ) -> Read<usize> {
        if pairs == 0 || !cursor.passes(b"\xa4type") {
            return Ok(0);
        }
        self.kind = kind(cursor)?;
        if matches!(self.kind, Kind::Cleared | Kind::Unknown) {
            return Ok(1);
        }
        let mut order = InOrder {
            left: pairs - 1,
            fields: self,
            cursor,
            lists,
        };
        order.next(b"\xacblock_hashes", Field::Hashes)?;
        order.next(b"\xb1parent_block_hash", Field::Parent)?;
        order.next(b"\xa9token_ids", Field::Tokens)?;
        order.next(b"\xaablock_size", Field::BlockSize)?;
        order.next(b"\xa7lora_id", Field::LoraId)?;
        order.next(b"\xa6medium", Field::Medium)?;
        order.next(b"\xa9lora_name", Field::LoraName)?;
        order.next(b"\xaaextra_keys", Field::ExtraKeys)?;
        order.next(b"\xa9group_idx", Field::Group)?;
        order.next(b"\xb2kv_cache_spec_kind", Field::SpecKind)?;
        Ok(pairs - order.left)
    }

    fn array(
        &mut self,
        cursor: &mut Cursor<'a>,
        count: usize,
        lists: &mut Lists,
        unknown_fields: &mut u32,
    ) -> Read<()> {
        self.kind = kind(cursor)?;
        let known = match self.kind {
            Kind::Stored => STORED.as_slice(),
            Kind::Removed => &REMOVED,
            Kind::Cleared | Kind::Unknown => &[],
        };
        let count = count - 1;
        for (_, field) in known.iter().take(count) {
            self.field(*field, cursor, lists)?;
        }
        for _ in known.len()..count {
            cursor.skip()?;
            *unknown_fields += u32::from(self.kind != Kind::Unknown);
        }
        Ok(())
    }

    #[inline]
    fn field(&mut self, field: Field, cursor: &mut Cursor<'a>, lists: &mut Lists) -> Read<()> {
        match field {
            Field::Hashes => read_hashes(cursor, &mut lists.hashes)?,
            Field::Parent => self.parent = hash(cursor)?,
            Field::Tokens => cursor.tokens(&mut lists.tokens)?,
            Field::BlockSize => self.block_size = cursor.optional_u32()?.unwrap_or_default(),
            Field::LoraId => {
                self.adapter = !cursor.is_nil();
                cursor.skip()?;
            }
            Field::Medium => self.medium = cursor.optional_bytes()?,
            Field::LoraName => self.lora = cursor.optional_text()?,
            Field::ExtraKeys => {
                let start = *cursor;
                cursor.skip()?;
                self.extra_keys = Some(start).filter(|start| !start.is_nil());
            }
            Field::Group => self.group = cursor.optional_u32()?.unwrap_or_default(),
            Field::SpecKind => self.full_attention = is_full(cursor.optional_bytes()?),
            Field::Locality => self.locality = cursor.optional_bytes()?,
            Field::Owner => self.owner = cursor.optional_text()?,
            Field::Skipped => cursor.skip()?,
        }
        Ok(())
    }
}

/// The fields of a map whose names are compared with the ones expected, head and all.
struct InOrder<'f, 'c, 'a> {
    left: usize,
    fields: &'f mut Fields<'a>,
    cursor: &'c mut Cursor<'a>,
    lists: &'f mut Lists,
}

impl InOrder<'_, '_, '_> {
    #[inline(always)]
    fn next<const N: usize>(&mut self, name: &[u8; N], field: Field) -> Read<()> {
        if self.left > 0 && self.cursor.passes(name) {
            self.left -= 1;
            self.fields.field(field, self.cursor, self.lists)?;
        }
        Ok(())
    }
}

fn kind(cursor: &mut Cursor<'_>) -> Read<Kind> {
    Ok(match cursor.name()? {
        b"BlockStored" => Kind::Stored,
        b"BlockRemoved" => Kind::Removed,
        b"AllBlocksCleared" => Kind::Cleared,
        _ => Kind::Unknown,
    })
}

/// Whether every block of the prefix must be there: vLLM's `KVCacheSpecKind`. A group that says
/// nothing is a plain model's only one.
fn is_full(kind: Option<&[u8]>) -> bool {
    matches!(
        kind,
        None | Some(b"full_attention" | b"mla_attention" | b"sink_full_attention")
    )
}

fn read_hashes(cursor: &mut Cursor<'_>, hashes: &mut Vec<EngineHash>) -> Read<()> {
    let count = cursor.array()?;
    hashes.clear();
    hashes.reserve(count);
    for _ in 0..count {
        let start = *cursor;
        match hash(cursor)? {
            Some(hash) => hashes.push(hash),
            None => return start.fail("a hash is nil"),
        }
    }
    Ok(())
}
