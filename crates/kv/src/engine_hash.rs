//! The engines' own block hashes, recomputed: vLLM's `vllm/v1/core/kv_cache_utils.py` and
//! `vllm/utils/hashing.py`.
//!
//! ```text
//! NONE_HASH = H(seed)                          seed: text of PYTHONHASHSEED, or "vllm-none-hash"
//! block i   = H((parent, (token..), extras))   parent: bytes of block i-1, NONE_HASH for block 0
//! extras    = None | (extra..)                 in the order of [`Extra`]
//! extra     = ("lora", name, path) | ("mm", identity, offset) | ("cache_salt", salt)
//!           | ("prompt_embeds", digest)        vLLM >= 0.31: tagged
//!           = name | (identity, offset) | salt | digest          vLLM <= 0.29: untagged
//! H         = SHA-256 or XXH3-128 of the pickle (protocol 5) or of the canonical CBOR
//! ```
//!
//! Without `PYTHONHASHSEED` vLLM >= 0.29 uses the fixed seed for SHA-256, and a random one, known to
//! nobody else, for XXH3; older releases always a random one.

mod algorithm;
mod cbor;
mod digest;
mod pickle;

use crate::TokenId;
pub use algorithm::Algorithm;
use cbor::Cbor;
pub use digest::Digest;
use pickle::Pickle;

/// What besides tokens names a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extra<'a> {
    /// Adapter, in every block of a request that uses it.
    Lora {
        /// Its name.
        name: &'a str,
        /// Its path as the replica knows it; in tagged form only.
        path: &'a str,
    },
    /// An image or sound that touches the block.
    Multimodal {
        /// Its identity.
        identity: &'a str,
        /// Where it starts, in tokens from the block's first: negative in its later blocks.
        offset: i64,
    },
    /// Cache salt; first block only.
    Salt(&'a str),
    /// SHA-256 of the block's prompt embeddings.
    Embeds(&'a [u8]),
}

/// Seed where `PYTHONHASHSEED` is not set.
const DEFAULT_SEED: &str = "vllm-none-hash";

/// Hashes blocks as one replica does. Keeps its buffer between calls.
#[derive(Clone, Debug)]
pub struct EngineHasher {
    algorithm: Algorithm,
    tagged: bool,
    none_hash: Digest,
    buffer: Vec<u8>,
}

impl EngineHasher {
    /// `seed`: the replica's `PYTHONHASHSEED`; `tagged`: vLLM >= 0.31. With an algorithm whose
    /// default seed is random, `None` gives hashes that no real replica has.
    #[must_use]
    pub fn new(algorithm: Algorithm, seed: Option<&str>, tagged: bool) -> Self {
        let seed = seed.unwrap_or(DEFAULT_SEED);
        let mut buffer = Vec::new();
        if algorithm.is_cbor() {
            Cbor::new(&mut buffer).text(seed);
        } else {
            let mut pickle = Pickle::new(&mut buffer);
            pickle.text(seed);
            pickle.end();
        }
        Self {
            algorithm,
            tagged,
            none_hash: algorithm.digest(&buffer),
            buffer,
        }
    }

    /// What first blocks have as parent.
    #[must_use]
    pub fn none_hash(&self) -> Digest {
        self.none_hash
    }

    /// The digest of the block that follows `parent`.
    #[must_use]
    pub fn block(&mut self, parent: &Digest, tokens: &[TokenId], extras: &[Extra<'_>]) -> Digest {
        self.buffer.clear();
        if self.algorithm.is_cbor() {
            Cbor::new(&mut self.buffer).block(parent, tokens, extras, self.tagged);
        } else {
            let mut pickle = Pickle::new(&mut self.buffer);
            pickle.block(parent, tokens, extras, self.tagged);
            pickle.end();
        }
        self.algorithm.digest(&self.buffer)
    }
}

#[cfg(test)]
mod tests;
