//! Numbers that look like chance, the same on every machine.

/// The finaliser of `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom number
/// generators, 2014): a bijection in which every bit of `x` reaches every bit of the outcome.
#[must_use]
pub const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// What `SplitMix64` adds to its state before each number: 2^64 by the golden ratio.
pub const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
