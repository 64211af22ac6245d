//! Which digest of which bytes.

use super::Digest;
use sha2::{Digest as _, Sha256};
use xxhash_rust::xxh3::xxh3_128;

/// `--prefix-caching-hash-algo`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Algorithm {
    /// "sha256", vLLM's default: SHA-256 of the pickle.
    Sha256,
    /// "`sha256_cbor`": SHA-256 of the canonical CBOR.
    Sha256Cbor,
    /// "xxhash": XXH3-128 of the pickle.
    Xxhash,
    /// "`xxhash_cbor`": XXH3-128 of the canonical CBOR.
    XxhashCbor,
}

impl Algorithm {
    /// All of them, the default first.
    pub const ALL: [Self; 4] = [
        Self::Sha256,
        Self::Sha256Cbor,
        Self::Xxhash,
        Self::XxhashCbor,
    ];

    /// By vLLM's name; `None` where it has no such algorithm (of old releases: "builtin").
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    /// vLLM's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha256Cbor => "sha256_cbor",
            Self::Xxhash => "xxhash",
            Self::XxhashCbor => "xxhash_cbor",
        }
    }

    /// Whether a replica (vLLM >= 0.29) without `PYTHONHASHSEED` has hashes that others can
    /// recompute.
    #[must_use]
    pub const fn has_fixed_seed(self) -> bool {
        matches!(self, Self::Sha256 | Self::Sha256Cbor)
    }

    pub(super) const fn is_cbor(self) -> bool {
        matches!(self, Self::Sha256Cbor | Self::XxhashCbor)
    }

    pub(super) fn digest(self, bytes: &[u8]) -> Digest {
        match self {
            Self::Sha256 | Self::Sha256Cbor => {
                Digest::from(<[u8; 32]>::from(Sha256::digest(bytes)))
            }
            Self::Xxhash | Self::XxhashCbor => Digest::from(xxh3_128(bytes).to_be_bytes()),
        }
    }
}
