//! Event batches as vLLM sends them, decoded by ours and by Dynamo's wire types.

use std::hint::black_box;

use dynamo_kv_router::zmq_wire::decode_event_batch;
use onefill_events::Decoder;
use onefill_events::encode::{HashForm, OutBatch, OutEvent, OutRemoved, OutStored, Shape, encode};
use onefill_kv::{KeySeed, engine_hash::Digest};

use crate::meter::{cpu_ns, median};
use crate::report::{Bar, Report};

const BLOCK_TOKENS: u32 = 16;
const ROUNDS: usize = 21;

fn digest(number: u32) -> Digest {
    let mut bytes = [0xa5; 32];
    let spread = number.wrapping_mul(0x9e37_79b9).to_be_bytes();
    bytes[24..28].copy_from_slice(&spread);
    Digest::from(bytes)
}

/// Token ids of a vocabulary of 128k: most take three bytes, many five.
fn stored(first: u32, blocks: u32) -> OutEvent {
    let tokens = (0..blocks * BLOCK_TOKENS).map(|at| (first + at).wrapping_mul(0x9e37_79b9) >> 15);
    OutEvent::Stored(OutStored {
        hashes: (first..first + blocks).map(digest).collect(),
        parent: (first > 0).then(|| digest(first - 1)),
        tokens: tokens.collect(),
        block_size: BLOCK_TOKENS,
        extra_keys: Some(vec![Vec::new(); blocks as usize]),
        ..OutStored::default()
    })
}

fn removed(number: u32) -> OutEvent {
    OutEvent::Removed(OutRemoved {
        hashes: vec![digest(number)],
        medium: Some("GPU".into()),
        group: Some(0),
        ..OutRemoved::default()
    })
}

/// Median CPU nanoseconds a block of some rounds.
fn cost(blocks: u32, decodes: u32, mut decode: impl FnMut()) -> f64 {
    median((0..ROUNDS).map(|_| {
        let ns = cpu_ns(|| (0..decodes).for_each(|_| decode()));
        ns / f64::from(decodes) / f64::from(blocks)
    }))
}

/// Measures the decoder on batches of one kind of event.
pub fn measure(report: &mut Report) {
    println!("\nevent decoding, content hashes and all (Dynamo's without)");
    let singles = || (0..32).map(|at| stored(at, 1)).collect::<Vec<_>>();
    let shapes = [
        ("1 event x 64 blocks", 64, vec![stored(0, 64)], true),
        ("32 events x 1 block", 32, singles(), true),
        ("64 removals", 64, (0..64).map(removed).collect(), false),
    ];
    for (form, hashes) in [(HashForm::Int, "numbers"), (HashForm::Digest, "digests")] {
        for (name, blocks, events, is_store) in &shapes {
            let batch = OutBatch {
                events: events.clone(),
                rank: Some(0),
                ..OutBatch::default()
            };
            let mut payload = Vec::new();
            encode(&batch, Shape::Maps, form, &mut payload);
            let mut decoder = Decoder::new(KeySeed(7));
            let ours = cost(*blocks, 2000, || {
                let info = decoder.decode(black_box(&payload), &mut |event| {
                    black_box(&event);
                });
                assert!(info.is_ok(), "the payload is a batch");
            });
            // Dynamo's types take numbers only.
            let peer = decode_event_batch(&payload).is_ok().then(|| {
                cost(*blocks, 100, || {
                    drop(black_box(decode_event_batch(black_box(&payload))))
                })
            });
            let peers: Vec<_> = peer
                .map(|ns| ("dynamo".to_owned(), ns))
                .into_iter()
                .collect();
            let most = if *is_store { 80.0 } else { f64::INFINITY };
            let what = format!("decode {name}, hashes as {hashes}");
            report.bar(&what, "ns a block", ours, &peers, Bar::AtMost(most));
        }
    }
}
