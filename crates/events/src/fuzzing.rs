//! What the fuzz targets `events` and `events_round_trip` promise.
#![expect(clippy::expect_used, reason = "a broken promise")]

#[path = "../../../fuzz/choices.rs"]
mod choices;
mod made;
#[cfg(test)]
mod tests;

use crate::{Decoder, Event, Salt, StoredBlock, encode::encode};
use choices::Choices;
use onefill_kv::{EngineHash, KeySeed, Tier};

/// The seed of all decoders here.
const SEED: KeySeed = KeySeed(1);

/// An event, kept.
#[derive(PartialEq, Debug)]
enum Said {
    Stored {
        blocks: Vec<StoredBlock>,
        tokens: Vec<u32>,
        parent: Option<EngineHash>,
        block_tokens: u32,
        tier: Tier,
        lora: Option<String>,
        salt: SaidSalt,
        group: u32,
        full_attention: bool,
        owner: Option<String>,
    },
    Removed(Vec<EngineHash>, Tier, u32),
    Cleared,
}

#[derive(PartialEq, Debug)]
enum SaidSalt {
    Known(Option<String>),
    Unknown,
}

impl Said {
    fn of(event: &Event<'_>) -> Self {
        match event {
            Event::Stored(stored) => Self::Stored {
                blocks: stored.blocks.to_vec(),
                tokens: stored.tokens.to_vec(),
                parent: stored.parent,
                block_tokens: stored.block_tokens,
                tier: stored.tier,
                lora: stored.lora.map(str::to_owned),
                salt: match stored.salt {
                    Salt::Known(salt) => SaidSalt::Known(salt.map(str::to_owned)),
                    Salt::Unknown => SaidSalt::Unknown,
                },
                group: stored.group,
                full_attention: stored.full_attention,
                owner: stored.owner.map(str::to_owned),
            },
            Event::Removed(removed) => {
                Self::Removed(removed.hashes.to_vec(), removed.tier, removed.group)
            }
            Event::Cleared => Self::Cleared,
        }
    }
}

/// Any bytes: no panic; what is said holds together; an error lies within the payload; and what a
/// decoder read before changes nothing.
pub fn events(payload: &[u8]) {
    let mut decoder = Decoder::new(SEED);
    let mut said = Vec::new();
    let first = decoder.decode(payload, &mut |event| {
        if let Event::Stored(stored) = &event {
            let tokens = stored.blocks.len() * stored.block_tokens as usize;
            assert_eq!(stored.tokens.len(), tokens);
            assert_ne!(stored.block_tokens, 0);
        }
        said.push(Said::of(&event));
    });
    match &first {
        Ok(info) => assert_eq!(info.events as usize, said.len()),
        Err(error) => assert!(error.offset <= payload.len(), "{error}"),
    }
    let mut again = Vec::new();
    let second = decoder.decode(payload, &mut |event| again.push(Said::of(&event)));
    assert_eq!(said, again);
    // The time may be NaN, which is not equal to itself.
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
}

/// Any batch that an engine may send, in any shape: what was written is what is read.
pub fn round_trip(bytes: &[u8]) {
    let made = made::batch(&mut Choices(bytes));
    let mut payload = Vec::new();
    encode(&made.batch, made.shape, made.form, &mut payload);
    let mut said = Vec::new();
    let decoded = Decoder::new(SEED).decode(&payload, &mut |event| said.push(Said::of(&event)));
    assert_eq!(said, made.said);
    let info = decoded.expect("a batch as engines send it");
    assert_eq!(info.published_s.to_bits(), made.batch.published_s.to_bits());
    assert_eq!(info.rank, made.batch.rank);
    assert_eq!(
        (
            info.events as usize,
            info.unknown_events,
            info.undescribed_events
        ),
        (
            made.said.len(),
            made.unknown_events,
            made.undescribed_events
        )
    );
    assert_eq!(info.unknown_fields, 0);
}
