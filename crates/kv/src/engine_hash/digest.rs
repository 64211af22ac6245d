//! A block's digest.

use crate::EngineHash;
use std::fmt;

/// A block's digest as the engine computed it: 32 bytes of SHA-256, or 16 of XXH3-128.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest {
    /// Zeros behind the length.
    bytes: [u8; 32],
    length: u8,
}

impl Digest {
    /// From raw bytes, 8 to 32 of them.
    #[must_use]
    pub fn new(raw: &[u8]) -> Option<Self> {
        let length = u8::try_from(raw.len()).ok().filter(|length| *length >= 8)?;
        let mut bytes = [0; 32];
        bytes.get_mut(..raw.len())?.copy_from_slice(raw);
        Some(Self { bytes, length })
    }

    /// The raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }

    /// The form of events: the last eight bytes, big-endian.
    #[must_use]
    pub fn engine_hash(&self) -> EngineHash {
        // A digest has eight bytes or more, so the other way is never taken.
        EngineHash::from_digest(self.as_bytes()).unwrap_or(EngineHash(0))
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self { bytes, length: 32 }
    }
}

impl From<[u8; 16]> for Digest {
    fn from(half: [u8; 16]) -> Self {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&half);
        Self { bytes, length: 16 }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
