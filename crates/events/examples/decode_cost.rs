//! Nanoseconds to decode a stored block, content hash and all:
//! `cargo run --release -p onefill-events --example decode_cost`.
#![expect(clippy::print_stdout, reason = "a program that prints")]

use onefill_events::{
    Decoder, Event,
    encode::{HashForm, OutBatch, OutEvent, OutRemoved, OutStored, Shape, encode},
};
use onefill_kv::{KeySeed, engine_hash::Digest};
use std::{hint::black_box, time::Instant};

const BLOCK_TOKENS: u32 = 16;
const ROUNDS: u32 = 40;
const DECODES: u32 = 2000;

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

/// Best of some rounds: what the code costs when nothing else runs.
fn measure(name: &str, blocks: u32, events: Vec<OutEvent>, form: HashForm) {
    let batch = OutBatch {
        events,
        rank: Some(0),
        ..OutBatch::default()
    };
    let mut payload = Vec::new();
    encode(&batch, Shape::Maps, form, &mut payload);
    let mut decoder = Decoder::new(KeySeed(7));
    let mut best_ns = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..DECODES {
            let decoded = decoder.decode(black_box(&payload), &mut |event: Event<'_>| {
                black_box(&event);
            });
            assert!(decoded.is_ok(), "the payload is a batch");
        }
        let spent_ns = start.elapsed().as_secs_f64() * 1e9;
        best_ns = best_ns.min(spent_ns / f64::from(DECODES) / f64::from(blocks));
    }
    println!(
        "{name:<34} {:>6} bytes  {best_ns:>6.1} ns/block",
        payload.len()
    );
}

fn main() {
    for (form, hashes) in [(HashForm::Int, "int"), (HashForm::Digest, "digest")] {
        let name = |what: &str| format!("{what}, {hashes} hashes");
        measure(&name("1 event x 64 blocks"), 64, vec![stored(0, 64)], form);
        let singles = (0..32).map(|at| stored(at, 1)).collect();
        measure(&name("32 events x 1 block"), 32, singles, form);
        measure(
            &name("64 removals"),
            64,
            (0..64).map(removed).collect(),
            form,
        );
    }
}
