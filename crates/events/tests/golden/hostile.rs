//! Bytes that no engine sends.

use crate::record::{CAPTURES, records};
use onefill_events::{Decoder, PAYLOAD_BYTES_MAX};
use onefill_kv::KeySeed;
use proptest::{collection::vec, prelude::*};

fn payloads() -> Vec<Vec<u8>> {
    let all = CAPTURES.iter().flat_map(|(_, capture)| records(capture));
    all.map(|record| record.payload)
        .filter(|payload| payload.len() < 3000)
        .collect()
}

fn reason(payload: &[u8]) -> String {
    let decoded = Decoder::new(KeySeed(1)).decode(payload, &mut |_| ());
    decoded.expect_err("hostile").to_string()
}

#[test]
fn cut_payloads_are_errors() {
    let mut decoder = Decoder::new(KeySeed(1));
    for payload in payloads() {
        for end in 0..payload.len() {
            let cut = decoder.decode(&payload[..end], &mut |_| ());
            assert!(cut.is_err(), "cut at {end} of {}", payload.len());
        }
    }
}

#[test]
fn more_bytes_than_the_batch_are_an_error() {
    let mut payload = payloads().remove(0);
    payload.push(0xc0);
    assert!(reason(&payload).starts_with("event batch: the batch ends before the payload"));
}

#[test]
fn lists_longer_than_the_payload_make_no_room() {
    for head in [&[0xdd, 0xff, 0xff, 0xff, 0xff][..], &[0xdc, 0xff, 0xff]] {
        let mut events = [&[0x92, 0x00][..], head].concat();
        assert!(reason(&events).contains("longer than the payload"));
        events = [&[0x92, 0x00, 0x91, 0x92, 0xab][..], b"BlockStored", head].concat();
        assert!(reason(&events).contains("longer than the payload"));
    }
}

#[test]
fn deep_nesting_is_an_error() {
    let mut payload = vec![0x92, 0x00, 0x91, 0x92, 0xa1, b'x'];
    payload.extend([0x91; 100_000]);
    assert!(reason(&payload).contains("nested too deep"));
}

#[test]
fn payloads_have_a_longest() {
    assert!(reason(&vec![0x92; PAYLOAD_BYTES_MAX + 1]).contains("longer than any batch"));
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer(payload in vec(any::<u8>(), 0..200)) {
        drop(Decoder::new(KeySeed(1)).decode(&payload, &mut |_| ()));
    }

    #[test]
    fn changed_bytes_are_an_answer(which: prop::sample::Index, changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let payloads = payloads();
        let mut payload = which.get(&payloads).clone();
        for (place, to) in changes {
            let place = place.index(payload.len());
            payload[place] = to;
        }
        drop(Decoder::new(KeySeed(1)).decode(&payload, &mut |_| ()));
    }
}
