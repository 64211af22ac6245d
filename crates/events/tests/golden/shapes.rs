//! Shapes that the captures lack: old releases, images, embeddings, groups, what a later release may
//! add. The bytes are written by hand or by the encoder.

use onefill_events::{
    BatchInfo, Decoder, Event, Salt,
    encode::{ExtraKey, HashForm, OutBatch, OutEvent, OutRemoved, OutStored, Shape, encode},
};
use onefill_kv::{ContentHash, KeySeed, Tier, engine_hash::Digest};

const SEED: KeySeed = KeySeed(9);

fn decode(payload: &[u8]) -> (BatchInfo, Vec<String>) {
    let mut said = Vec::new();
    let mut tell = |event: Event<'_>| said.push(format!("{event:?}"));
    let info = Decoder::new(SEED)
        .decode(payload, &mut tell)
        .expect("decodes");
    (info, said)
}

fn written(events: Vec<OutEvent>, shape: Shape, form: HashForm) -> Vec<u8> {
    let batch = OutBatch {
        published_s: 1.5,
        events,
        rank: Some(3),
    };
    let mut bytes = Vec::new();
    encode(&batch, shape, form, &mut bytes);
    bytes
}

fn digest(fill: u8) -> Digest {
    Digest::from([fill; 32])
}

/// Two blocks of two tokens.
fn stored() -> OutStored {
    OutStored {
        hashes: vec![digest(7), digest(8)],
        tokens: vec![1, 200, 70_000, 4],
        block_size: 2,
        extra_keys: Some(vec![vec![], vec![]]),
        ..OutStored::default()
    }
}

fn with_keys(
    extra_keys: Vec<Vec<ExtraKey>>,
    lora: Option<&str>,
    parent: Option<Digest>,
) -> OutStored {
    OutStored {
        extra_keys: Some(extra_keys),
        lora_name: lora.map(str::to_owned),
        parent,
        ..stored()
    }
}

/// Contents and salt of one stored event.
fn one(out: OutStored) -> (Vec<ContentHash>, Option<Option<String>>) {
    let payload = written(vec![OutEvent::Stored(out)], Shape::Maps, HashForm::Int);
    one_of(&payload)
}

fn one_of(payload: &[u8]) -> (Vec<ContentHash>, Option<Option<String>>) {
    let mut found = None;
    let mut note = |event: Event<'_>| {
        let Event::Stored(stored) = event else {
            panic!("{event:?}")
        };
        let salt = match stored.salt {
            Salt::Known(salt) => Some(salt.map(str::to_owned)),
            Salt::Unknown => None,
        };
        found = Some((
            stored.blocks.iter().map(|block| block.content).collect(),
            salt,
        ));
    };
    Decoder::new(SEED)
        .decode(payload, &mut note)
        .expect("decodes");
    found.expect("one event")
}

fn text(text: &str) -> ExtraKey {
    ExtraKey::Text(text.to_owned())
}

#[test]
fn both_shapes_and_both_hash_forms_say_the_same() {
    let events = vec![
        OutEvent::Stored(OutStored {
            lora_id: Some(1),
            lora_name: Some("a".into()),
            parent: Some(digest(6)),
            ..stored()
        }),
        OutEvent::Removed(OutRemoved {
            hashes: vec![digest(7)],
            medium: Some("CPU".into()),
            ..OutRemoved::default()
        }),
        OutEvent::Stored(OutStored {
            owner: Some("disk".into()),
            medium: Some("STORAGE".into()),
            locality: Some("LOCAL".into()),
            ..stored()
        }),
        OutEvent::Cleared,
    ];
    let first = decode(&written(events.clone(), Shape::Maps, HashForm::Int));
    assert_eq!(
        (first.0.events, first.0.unknown_fields, first.0.rank),
        (4, 0, Some(3))
    );
    for (shape, form) in [
        (Shape::Maps, HashForm::Digest),
        (Shape::Arrays, HashForm::Int),
        (Shape::Arrays, HashForm::Digest),
    ] {
        assert_eq!(decode(&written(events.clone(), shape, form)), first);
    }
}

/// vLLM 0.12: `[name, hashes, parent, tokens, size, lora_id, medium]`, and a batch without rank.
#[test]
fn short_arrays_tell_no_salt() {
    let payload = [
        &[0x92, 0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 0x91, 0x97, 0xab][..],
        b"BlockStored",
        &[0x91, 0x07, 0xc0, 0x92, 0x01, 0xcc, 0xc8, 0x02, 0xc0, 0xa3],
        b"GPU",
    ]
    .concat();
    let (info, said) = decode(&payload);
    assert_eq!((info.events, info.rank, info.unknown_fields), (1, None, 0));
    assert!((info.published_s - 1.5).abs() < f64::EPSILON);
    assert!(
        said[0].contains("salt: Unknown") && said[0].contains("lora: None"),
        "{said:?}"
    );
    let contents = one_of(&payload).0;
    assert_eq!(contents, [SEED.content(&[1, 200])]);
}

#[test]
fn an_adapter_known_only_by_number_is_no_base_model() {
    let (_, said) = decode(&written(
        vec![OutEvent::Stored(OutStored {
            lora_id: Some(4),
            ..stored()
        })],
        Shape::Maps,
        HashForm::Int,
    ));
    assert!(!said[0].contains("lora: None"), "{said:?}");
}

#[test]
fn salts_stand_in_the_first_block_of_a_chain() {
    let plain = one(stored());
    assert_eq!(plain.1, Some(None));
    let salted = one(with_keys(vec![vec![text("s")], vec![]], None, None));
    assert_eq!(salted, (plain.0.clone(), Some(Some("s".into()))));
    // An adapter of the salt's name.
    let both = one(with_keys(
        vec![vec![text("s"), text("s")], vec![text("s")]],
        Some("s"),
        None,
    ));
    assert_eq!(both, (plain.0.clone(), Some(Some("s".into()))));
    let adapter = one(with_keys(
        vec![vec![text("s")], vec![text("s")]],
        Some("s"),
        None,
    ));
    assert_eq!(adapter, (plain.0.clone(), Some(None)));
    // Two texts, one of which is the salt: which, nobody knows.
    let two = one(with_keys(
        vec![vec![text("s"), text("t")], vec![]],
        None,
        None,
    ));
    assert_eq!(two.1, None);
    // Not the chain's first block: no salt, but the block's own.
    let later = one(with_keys(
        vec![vec![text("s")], vec![]],
        None,
        Some(digest(1)),
    ));
    assert_eq!(later.1, Some(None));
    assert_ne!(later.0[0], plain.0[0]);
}

#[test]
fn images_and_embeddings_part_blocks_of_equal_tokens() {
    let image = |identity: &str, offset| ExtraKey::Image(identity.to_owned(), offset);
    let plain = one(stored()).0;
    let of = |key: ExtraKey| one(with_keys(vec![vec![], vec![key]], None, None)).0;
    let different = [
        plain[1],
        of(image("a", 0))[1],
        of(image("a", 1))[1],
        of(image("a", -1))[1],
        of(image("b", 0))[1],
        of(ExtraKey::Embeds(vec![1; 32]))[1],
        of(ExtraKey::Embeds(vec![2; 32]))[1],
    ];
    for (place, content) in different.iter().enumerate() {
        assert!(!different[..place].contains(content), "{place}");
    }
    assert_eq!(
        of(image("a", 1))[0],
        plain[0],
        "the other block is as it was"
    );
}

/// The engine's own, tagged form, should a release send it.
#[test]
fn tagged_extra_keys_say_the_same() {
    let untagged = with_keys(
        vec![
            vec![
                text("ad"),
                ExtraKey::Image("im".into(), 1),
                text("s"),
                ExtraKey::Embeds(vec![5; 32]),
            ],
            vec![],
        ],
        Some("ad"),
        None,
    );
    let payload = written(
        vec![OutEvent::Stored(untagged.clone())],
        Shape::Maps,
        HashForm::Int,
    );
    let short: &[&[u8]] = &[b"\x94\xa2ad\x92\xa2im\x01\xa1s\xc4\x20", &[5; 32]];
    let tagged: &[&[u8]] = &[
        b"\x94\x93\xa4lora\xa2ad\xa4/ad/\x93\xa2mm\xa2im\x01\x92\xaacache_salt\xa1s\x92\xadprompt_embeds\xc4\x20",
        &[5; 32],
    ];
    let (short, tagged) = (short.concat(), tagged.concat());
    let at = payload
        .windows(short.len())
        .position(|window| window == short)
        .expect("there");
    let tagged = [&payload[..at], &tagged, &payload[at + short.len()..]].concat();
    assert_eq!(one_of(&tagged), one(untagged));
}

#[test]
fn events_without_the_tokens_of_each_block_are_counted() {
    let placeholder = OutStored {
        tokens: vec![],
        block_size: 0,
        medium: Some("CPU".into()),
        extra_keys: None,
        ..stored()
    };
    let window = OutStored {
        hashes: vec![digest(2)],
        extra_keys: Some(vec![vec![]]),
        kind: Some("sliding_window".into()),
        group: Some(1),
        ..stored()
    };
    let events = [placeholder, window, stored()]
        .map(OutEvent::Stored)
        .to_vec();
    let (info, said) = decode(&written(events, Shape::Maps, HashForm::Int));
    assert_eq!(
        (info.undescribed_events, info.events, said.len()),
        (2, 1, 1)
    );
}

#[test]
fn only_groups_of_full_attention_tell_the_prefix() {
    let full = |kind: Option<&'static str>| {
        let event = OutStored {
            kind: kind.map(Into::into),
            group: Some(2),
            ..stored()
        };
        let (_, said) = decode(&written(
            vec![OutEvent::Stored(event)],
            Shape::Maps,
            HashForm::Int,
        ));
        assert!(said[0].contains("group: 2"));
        said[0].contains("full_attention: true")
    };
    assert!(
        [
            None,
            Some("full_attention"),
            Some("mla_attention"),
            Some("sink_full_attention")
        ]
        .map(full)
            == [true; 4]
    );
    assert!(
        [
            Some("sliding_window"),
            Some("sliding_window_mla"),
            Some("mamba"),
            Some("x")
        ]
        .map(full)
            == [false; 4]
    );
}

#[test]
fn media_and_localities_are_tiers() {
    let tier = |medium: Option<&'static str>, locality: Option<&'static str>| {
        let event = OutRemoved {
            hashes: vec![digest(1)],
            medium: medium.map(Into::into),
            locality: locality.map(Into::into),
            ..OutRemoved::default()
        };
        let mut found = None;
        let payload = written(vec![OutEvent::Removed(event)], Shape::Maps, HashForm::Int);
        let mut note = |event: Event<'_>| {
            if let Event::Removed(removed) = event {
                found = Some(removed.tier);
            }
        };
        let info = Decoder::new(SEED)
            .decode(&payload, &mut note)
            .expect("decodes");
        assert_eq!(info.unknown_events, u32::from(found.is_none()));
        found
    };
    assert_eq!(tier(None, None), Some(Tier::Gpu));
    assert_eq!(tier(Some("GPU"), None), Some(Tier::Gpu));
    assert_eq!(tier(Some("CPU"), Some("LOCAL")), Some(Tier::Cpu));
    assert_eq!(tier(Some("cpu"), None), Some(Tier::Cpu));
    assert_eq!(tier(Some("STORAGE"), None), Some(Tier::Disk));
    assert_eq!(tier(Some("STORAGE"), Some("LOCAL")), Some(Tier::Disk));
    assert_eq!(tier(Some("STORAGE"), Some("REMOTE")), Some(Tier::Remote));
    assert_eq!(tier(Some("TAPE"), None), None);
}

/// Unknown fields, unknown events whose fields have other types, fields out of order, a fourth
/// element of the batch.
#[test]
fn what_a_later_release_adds_is_counted_and_skipped() {
    let payload: &[&[u8]] = &[
        b"\x94\x01\x94",
        b"\x82\xa4type\xaaBlockMoved\xacblock_hashes\x81\xa1x\x92\xc3\xca\0\0\0\0",
        b"\x93\xaaBlockMoved\x01\xd4\x05\x06",
        b"\x84\xa5color\x93\x01\xc2\xd1\xff\x00\xa6medium\xa3GPU\xacblock_hashes\x91\x07\xa4type\xacBlockRemoved",
        b"\x97\xacBlockRemoved\x91\x08\xa3GPU\x00\xc0\xc0\xa5later",
        b"\x05\x81\xa1k\xa1v",
    ];
    let (info, said) = decode(&payload.concat());
    assert_eq!(said.len(), 2);
    assert!(
        said[0].contains("EngineHash(7)") && said[1].contains("EngineHash(8)"),
        "{said:?}"
    );
    assert_eq!(
        (info.events, info.unknown_events, info.unknown_fields),
        (2, 2, 3)
    );
    assert_eq!(info.rank, Some(5));
}
