//! Hashing of what is a hash already.

use std::hash::{BuildHasherDefault, Hasher};

/// Keys and engine hashes are uniform: a table may take them as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsIs(u64);

/// For maps keyed by keys or engine hashes.
pub type BuildAsIs = BuildHasherDefault<AsIs>;

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}
