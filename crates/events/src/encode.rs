//! Event batches as vLLM writes them, for the simulated engine and for tests.
//!
//! The wire format stands in the decoder's module. Fields whose default is `None` are left out of
//! maps; of arrays, only those at the end are.

use crate::pack::Pack;
use onefill_kv::engine_hash::Digest;
use std::borrow::Cow;

/// How a release puts an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// vLLM >= 0.27: maps with "type".
    Maps,
    /// vLLM <= 0.22: arrays that begin with the type.
    Arrays,
}

/// How hashes are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HashForm {
    /// The digest's last eight bytes as a number, vLLM's default.
    Int,
    /// The raw digest (`VLLM_KV_EVENTS_USE_INT_BLOCK_HASHES=0`).
    Digest,
}

/// A short text that most callers know at compile time.
pub type Text = Cow<'static, str>;

/// A batch to write.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct OutBatch {
    /// Unix time in seconds.
    pub published_s: f64,
    /// The events, in order.
    pub events: Vec<OutEvent>,
    /// Data-parallel rank; left out where `None`.
    pub rank: Option<u32>,
}

/// An event to write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OutEvent {
    /// Blocks stored.
    Stored(OutStored),
    /// Blocks removed.
    Removed(OutRemoved),
    /// Everything is gone.
    Cleared,
}

impl OutEvent {
    const fn name(&self) -> &'static str {
        match self {
            Self::Stored(_) => "BlockStored",
            Self::Removed(_) => "BlockRemoved",
            Self::Cleared => "AllBlocksCleared",
        }
    }
}

/// `BlockStored`. [`OutStored::default`] is a plain model's first block in the engine's own cache,
/// without any block yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutStored {
    /// Digests in chain order.
    pub hashes: Vec<Digest>,
    /// Digest before the first; `None`: the chain starts here.
    pub parent: Option<Digest>,
    /// Token ids of all blocks.
    pub tokens: Vec<u32>,
    /// Tokens a block.
    pub block_size: u32,
    /// Adapter's number.
    pub lora_id: Option<u32>,
    /// "GPU", "CPU" or "STORAGE".
    pub medium: Option<Text>,
    /// Adapter's name.
    pub lora_name: Option<String>,
    /// For each block its extra keys, in vLLM's order: adapter's name, images, salt, embeddings.
    /// A block without any is written as nil. `None`: the field is left out, as offload tiers do.
    pub extra_keys: Option<Vec<Vec<ExtraKey>>>,
    /// KV cache group.
    pub group: Option<u32>,
    /// "`full_attention`", "`sliding_window`", ...
    pub kind: Option<Text>,
    /// Tokens of the sliding window.
    pub sliding_window: Option<u32>,
    /// "LOCAL" or "REMOTE"; offload tiers only.
    pub locality: Option<Text>,
    /// Identity of a secondary tier.
    pub owner: Option<Text>,
    /// Session of the request that caused it.
    pub session: Option<String>,
}

impl Default for OutStored {
    fn default() -> Self {
        Self {
            hashes: Vec::new(),
            parent: None,
            tokens: Vec::new(),
            block_size: 16,
            lora_id: None,
            medium: Some("GPU".into()),
            lora_name: None,
            extra_keys: None,
            group: Some(0),
            kind: Some("full_attention".into()),
            sliding_window: None,
            locality: None,
            owner: None,
            session: None,
        }
    }
}

/// One extra key of a block, in the untagged form of all releases so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExtraKey {
    /// Adapter's name, or the salt.
    Text(String),
    /// An image's identity, and where it starts in the block.
    Image(String, i64),
    /// Digest of prompt embeddings.
    Embeds(Vec<u8>),
}

/// `BlockRemoved`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct OutRemoved {
    /// Digests. The engine's own cache sends one an event.
    pub hashes: Vec<Digest>,
    /// "GPU", "CPU" or "STORAGE".
    pub medium: Option<Text>,
    /// KV cache group.
    pub group: Option<u32>,
    /// "LOCAL" or "REMOTE"; offload tiers only.
    pub locality: Option<Text>,
    /// Identity of a secondary tier.
    pub owner: Option<Text>,
}

/// Appends the batch's payload (the third frame of a ZMQ message) to `bytes`.
pub fn encode(batch: &OutBatch, shape: Shape, form: HashForm, bytes: &mut Vec<u8>) {
    let mut pack = Pack { bytes };
    pack.array(if batch.rank.is_some() { 3 } else { 2 });
    pack.float(batch.published_s);
    pack.array(batch.events.len());
    for event in &batch.events {
        let mut fields = Fields::start(&mut pack, event.name(), shape, form);
        match event {
            OutEvent::Stored(stored) => stored_fields(stored, &mut fields),
            OutEvent::Removed(removed) => removed_fields(removed, &mut fields),
            OutEvent::Cleared => (),
        }
        fields.end();
    }
    if let Some(rank) = batch.rank {
        pack.unsigned(u64::from(rank));
    }
}

fn stored_fields(stored: &OutStored, fields: &mut Fields<'_, '_>) {
    fields.always("block_hashes", Some(stored.hashes.as_slice()), hashes);
    fields.always("parent_block_hash", stored.parent.as_ref(), hash);
    fields.always("token_ids", Some(&stored.tokens), |pack, _, tokens| {
        pack.array(tokens.len());
        for token in *tokens {
            pack.unsigned(u64::from(*token));
        }
    });
    fields.always("block_size", Some(stored.block_size), number);
    fields.always("lora_id", stored.lora_id, number);
    fields.always("medium", stored.medium.as_deref(), text);
    fields.always("lora_name", stored.lora_name.as_deref(), text);
    let keys = stored.extra_keys.as_deref();
    fields.optional("extra_keys", keys, |pack, _, keys| {
        pack.array(keys.len());
        keys.iter().for_each(|block| extra_keys(pack, block));
    });
    fields.optional("group_idx", stored.group, number);
    fields.optional("kv_cache_spec_kind", stored.kind.as_deref(), text);
    fields.optional(
        "kv_cache_spec_sliding_window",
        stored.sliding_window,
        number,
    );
    fields.optional("locality", stored.locality.as_deref(), text);
    fields.optional("ownership", stored.owner.as_deref(), text);
    fields.optional("session_id", stored.session.as_deref(), text);
}

fn removed_fields(removed: &OutRemoved, fields: &mut Fields<'_, '_>) {
    fields.always("block_hashes", Some(removed.hashes.as_slice()), hashes);
    fields.always("medium", removed.medium.as_deref(), text);
    fields.optional("group_idx", removed.group, number);
    fields.optional("locality", removed.locality.as_deref(), text);
    fields.optional("ownership", removed.owner.as_deref(), text);
}

fn hashes(pack: &mut Pack<'_>, form: HashForm, digests: &&[Digest]) {
    pack.array(digests.len());
    digests.iter().for_each(|digest| hash(pack, form, &digest));
}

fn hash(pack: &mut Pack<'_>, form: HashForm, digest: &&Digest) {
    match form {
        HashForm::Int => pack.unsigned(digest.engine_hash().0),
        HashForm::Digest => pack.binary(digest.as_bytes()),
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "one shape for all writers of values"
)]
fn number(pack: &mut Pack<'_>, _: HashForm, number: &u32) {
    pack.unsigned(u64::from(*number));
}

fn text(pack: &mut Pack<'_>, _: HashForm, text: &&str) {
    pack.text(text);
}

fn extra_keys(pack: &mut Pack<'_>, keys: &[ExtraKey]) {
    if keys.is_empty() {
        return pack.nil();
    }
    pack.array(keys.len());
    for key in keys {
        match key {
            ExtraKey::Text(text) => pack.text(text),
            ExtraKey::Embeds(digest) => pack.binary(digest),
            ExtraKey::Image(identity, offset) => {
                pack.array(2);
                pack.text(identity);
                pack.signed(*offset);
            }
        }
    }
}

/// An event being written: its head stands already, its count of fields follows at the end.
struct Fields<'p, 'b> {
    pack: &'p mut Pack<'b>,
    shape: Shape,
    form: HashForm,
    /// Where the event's head stands.
    head: usize,
    /// Pairs of the map, or elements of the array, so far.
    count: u8,
    /// Fields left out of an array, to be written as nil once one follows.
    left_out: u8,
}

impl<'p, 'b> Fields<'p, 'b> {
    fn start(pack: &'p mut Pack<'b>, name: &str, shape: Shape, form: HashForm) -> Self {
        let head = pack.bytes.len();
        pack.bytes.push(0);
        if shape == Shape::Maps {
            pack.text("type");
        }
        pack.text(name);
        Self {
            pack,
            shape,
            form,
            head,
            count: 1,
            left_out: 0,
        }
    }

    /// A field without a default: nil where there is no value.
    fn always<T>(&mut self, name: &str, value: Option<T>, write: fn(&mut Pack<'_>, HashForm, &T)) {
        for _ in 0..std::mem::take(&mut self.left_out) {
            self.pack.nil();
            self.count += 1;
        }
        if self.shape == Shape::Maps {
            self.pack.text(name);
        }
        match value {
            Some(value) => write(self.pack, self.form, &value),
            None => self.pack.nil(),
        }
        self.count += 1;
    }

    /// A field whose default is `None`.
    fn optional<T>(
        &mut self,
        name: &str,
        value: Option<T>,
        write: fn(&mut Pack<'_>, HashForm, &T),
    ) {
        if value.is_some() {
            self.always(name, value, write);
        } else if self.shape == Shape::Arrays {
            self.left_out += 1;
        }
    }

    fn end(self) {
        debug_assert!(self.count < 16, "the head has four bits");
        let tag = match self.shape {
            Shape::Maps => 0x80,
            Shape::Arrays => 0x90,
        };
        if let Some(head) = self.pack.bytes.get_mut(self.head) {
            *head = tag | self.count;
        }
    }
}
