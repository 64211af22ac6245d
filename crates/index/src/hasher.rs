//! Hashing of small numbers that are made of several fields.

use std::hash::{BuildHasherDefault, Hasher};

/// A multiply and a fold: fields land in all bits.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Fold(u64);

/// For maps keyed by numbers.
pub(crate) type BuildFold = BuildHasherDefault<Fold>;

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64((*byte).into());
        }
    }

    fn write_u16(&mut self, value: u16) {
        self.write_u64(value.into());
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        let product = u128::from(self.0 ^ value) * 0x9e37_79b9_7f4a_7c15;
        self.0 = product as u64 ^ (product >> 64) as u64;
    }
}
