#![no_main]

#[path = "../meter.rs"]
mod meter;

use libfuzzer_sys::fuzz_target;
use meter::Meter;
use onefill_prompt::fuzzing::{FUEL, templates};

#[global_allocator]
static METER: Meter = Meter;

/// What minijinja says: fuel pays for memory, about so many bytes each. Twice that, since text that
/// grows is there twice while it moves.
const BYTES_OF_FUEL: usize = 2 * 64;
/// Of the engine itself, and of each byte of the template and the body.
const BYTES_AT_FIRST: usize = 4 << 20;
const BYTES_A_BYTE: usize = 1024;

fuzz_target!(|bytes: &[u8]| {
    let mut length = 0;
    let most = meter::most_bytes(|| length = templates(bytes));
    let fuel = usize::try_from(FUEL).unwrap_or(usize::MAX);
    assert!(length <= fuel * 64 + BYTES_AT_FIRST, "{length} bytes rendered");
    let bound = BYTES_OF_FUEL * fuel + BYTES_AT_FIRST + BYTES_A_BYTE * bytes.len();
    assert!(most <= bound, "{most} bytes");
});
