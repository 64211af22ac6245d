#![no_main]

#[path = "../meter.rs"]
mod meter;

use libfuzzer_sys::fuzz_target;
use meter::Meter;
use onefill_events::Decoder;
use onefill_kv::KeySeed;

#[global_allocator]
static METER: Meter = Meter;

/// What the decoder's module says: N bytes allocate at most 28 N. Besides, the smallest lists.
const BYTES_A_BYTE: usize = 28;
const BYTES_OF_SMALL_LISTS: usize = 256;

fuzz_target!(|payload: &[u8]| {
    let most = meter::most_bytes(|| {
        drop(Decoder::new(KeySeed(1)).decode(payload, &mut |_| ()));
    });
    assert!(
        most <= BYTES_A_BYTE * payload.len() + BYTES_OF_SMALL_LISTS,
        "{most} bytes"
    );
    onefill_events::fuzzing::events(payload);
});
