//! Batches as engines make them, and what must be read of each.

use super::{SEED, Said, SaidSalt, choices::Choices};
use crate::{
    StoredBlock,
    encode::{ExtraKey, HashForm, OutBatch, OutEvent, OutRemoved, OutStored, Shape, Text},
};
use onefill_kv::{Tier, engine_hash::Digest};

/// A batch, how it is to be written, and what must be read.
pub(super) struct Made {
    pub(super) batch: OutBatch,
    pub(super) shape: Shape,
    pub(super) form: HashForm,
    pub(super) said: Vec<Said>,
    pub(super) unknown_events: u32,
    pub(super) undescribed_events: u32,
}

pub(super) fn batch(choices: &mut Choices<'_>) -> Made {
    let mut made = Made {
        shape: [Shape::Maps, Shape::Arrays][choices.below(2)],
        form: [HashForm::Int, HashForm::Digest][choices.below(2)],
        batch: OutBatch {
            published_s: f64::from_be_bytes(choices.bytes()),
            events: Vec::new(),
            rank: optional(choices, number),
        },
        said: Vec::new(),
        unknown_events: 0,
        undescribed_events: 0,
    };
    while choices.are_left() {
        made.event(choices);
    }
    made
}

impl Made {
    fn event(&mut self, choices: &mut Choices<'_>) {
        let (medium, locality) = place(choices);
        let tier = tier(medium.as_deref(), locality.as_deref());
        let (event, said) = match choices.below(8) {
            0..5 => {
                let (stored, described) = stored(choices, medium, locality);
                let said = tier.map(|tier| described.then(|| said_of(&stored, tier)));
                (OutEvent::Stored(stored), said)
            }
            5..7 => {
                let removed = removed(choices, medium, locality);
                let hashes = removed.hashes.iter().map(Digest::engine_hash).collect();
                let group = removed.group.unwrap_or_default();
                let said = tier.map(|tier| Some(Said::Removed(hashes, tier, group)));
                (OutEvent::Removed(removed), said)
            }
            _ => (OutEvent::Cleared, Some(Some(Said::Cleared))),
        };
        self.batch.events.push(event);
        match said {
            Some(Some(said)) => self.said.push(said),
            Some(None) => self.undescribed_events += 1,
            None => self.unknown_events += 1,
        }
    }
}

fn one_in(choices: &mut Choices<'_>, of: usize) -> bool {
    choices.below(of) == of - 1
}

fn optional<T>(choices: &mut Choices<'_>, make: fn(&mut Choices<'_>) -> T) -> Option<T> {
    one_in(choices, 2).then(|| make(choices))
}

/// Of every width on the wire.
fn number(choices: &mut Choices<'_>) -> u32 {
    u32::from_be_bytes(choices.bytes()) >> (8 * choices.below(4))
}

fn text(choices: &mut Choices<'_>) -> String {
    let length = choices.below(40);
    let letters = (0..length).map(|_| char::from(choices.bytes::<1>()[0]));
    letters.collect()
}

fn digest(choices: &mut Choices<'_>) -> Digest {
    Digest::from(choices.bytes::<16>())
}

fn place(choices: &mut Choices<'_>) -> (Option<Text>, Option<Text>) {
    let media = [
        Some("GPU"),
        Some("CPU"),
        Some("STORAGE"),
        None,
        Some("cpu"),
        Some("TAPE"),
    ];
    let localities = [None, Some("LOCAL"), Some("REMOTE")];
    let medium = media[choices.below(media.len())];
    let locality = localities[choices.below(localities.len())];
    (medium.map(Text::from), locality.map(Text::from))
}

fn tier(medium: Option<&str>, locality: Option<&str>) -> Option<Tier> {
    match medium.unwrap_or("GPU") {
        "GPU" => Some(Tier::Gpu),
        "CPU" | "cpu" => Some(Tier::Cpu),
        "STORAGE" if locality == Some("REMOTE") => Some(Tier::Remote),
        "STORAGE" => Some(Tier::Disk),
        _ => None,
    }
}

/// An event, and whether it tells of what each block consists.
fn stored(
    choices: &mut Choices<'_>,
    medium: Option<Text>,
    locality: Option<Text>,
) -> (OutStored, bool) {
    let block_size = 1 + choices.below(20);
    let hashes: Vec<Digest> = (0..choices.below(20)).map(|_| digest(choices)).collect();
    let described = !one_in(choices, 8);
    let missing = usize::from(!described);
    let tokens = (0..hashes.len() * block_size + missing).map(|_| number(choices));
    let tokens = tokens.collect();
    let kinds = ["full_attention", "mla_attention", "sliding_window"];
    let mut stored = OutStored {
        tokens,
        block_size: block_size as u32,
        parent: optional(choices, digest),
        lora_name: optional(choices, text),
        group: optional(choices, number),
        kind: optional(choices, |choices| choices.below(3)).map(|kind| kinds[kind].into()),
        sliding_window: optional(choices, number),
        owner: optional(choices, text).map(Text::from),
        session: optional(choices, text),
        hashes,
        medium,
        locality,
        ..OutStored::default()
    };
    stored.lora_id = stored.lora_name.is_some().then(|| number(choices));
    if one_in(choices, 2) {
        let blocks = 0..stored.hashes.len();
        let keys = blocks.map(|place| extra_keys(choices, &stored, place == 0));
        stored.extra_keys = Some(keys.collect());
    }
    (stored, described)
}

/// One block's keys, in vLLM's order: adapter, images, salt, embeddings.
fn extra_keys(choices: &mut Choices<'_>, stored: &OutStored, first: bool) -> Vec<ExtraKey> {
    let mut keys: Vec<ExtraKey> = stored
        .lora_name
        .clone()
        .map(ExtraKey::Text)
        .into_iter()
        .collect();
    for _ in 0..choices.below(3) {
        let offset = i64::from_be_bytes(choices.bytes()) >> (8 * choices.below(8));
        keys.push(ExtraKey::Image(text(choices), offset));
    }
    if first && stored.parent.is_none() && one_in(choices, 2) {
        keys.push(ExtraKey::Text(text(choices)));
    }
    if one_in(choices, 4) {
        keys.push(ExtraKey::Embeds(choices.bytes::<32>().to_vec()));
    }
    keys
}

fn removed(choices: &mut Choices<'_>, medium: Option<Text>, locality: Option<Text>) -> OutRemoved {
    OutRemoved {
        hashes: (0..choices.below(20)).map(|_| digest(choices)).collect(),
        medium,
        group: optional(choices, number),
        locality,
        owner: optional(choices, text).map(Text::from),
    }
}

fn said_of(stored: &OutStored, tier: Tier) -> Said {
    let mut salt = SaidSalt::Unknown;
    let mut blocks = Vec::new();
    let tokens = stored.tokens.chunks(stored.block_size as usize);
    for (place, (hash, tokens)) in stored.hashes.iter().zip(tokens).enumerate() {
        let mut content = SEED.content(tokens);
        let keys = stored
            .extra_keys
            .as_ref()
            .map(|keys| keys[place].as_slice());
        let adapter = usize::from(stored.lora_name.is_some());
        for key in keys.unwrap_or_default().iter().skip(adapter) {
            let mut own = |bytes: &[u8]| content = SEED.content_with(content, bytes);
            match key {
                ExtraKey::Text(text) => salt = SaidSalt::Known(Some(text.clone())),
                ExtraKey::Image(identity, offset) => {
                    own(identity.as_bytes());
                    own(&offset.to_le_bytes());
                }
                ExtraKey::Embeds(digest) => own(digest),
            }
        }
        let hash = hash.engine_hash();
        blocks.push(StoredBlock { hash, content });
    }
    if stored.extra_keys.is_some() && salt == SaidSalt::Unknown {
        salt = SaidSalt::Known(None);
    }
    Said::Stored {
        blocks,
        tokens: stored.tokens.clone(),
        parent: stored.parent.as_ref().map(Digest::engine_hash),
        block_tokens: stored.block_size,
        tier,
        lora: stored.lora_name.clone(),
        salt,
        group: stored.group.unwrap_or_default(),
        full_attention: stored.kind.as_deref() != Some("sliding_window"),
        owner: stored.owner.as_deref().map(str::to_owned),
    }
}
