//! Names of blocks: ours, chained and keyed; and the engine's.
//!
//! Two steps, so that the costly one needs no knowledge of the parent and can be done by whoever
//! decodes the tokens: `content = xxh3_64(tokens)`, then `key = fold(parent ^ A, content ^ B)`, a
//! 64x64->128 multiply folded by xor (the mixer of wyhash, which Rust's foldhash uses too).
//! Both are seeded, so that a client can't choose prompts that collide.
//! A collision (2^-64 a pair) costs a wrong guess in routing, never a wrong byte.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A token's number in the model's vocabulary.
pub type TokenId = u32;

/// Hash of one block's tokens alone (and of what else the engine mixes into that block, such as
/// an image's identity), without its prefix.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(transparent)]
pub struct ContentHash(pub u64);

/// Chained name of a block: equal keys mean equal tokens, equal prefix and equal namespace
/// (`LoRA`, salt).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(transparent)]
pub struct BlockKey(pub u64);

/// The engine's own name of a block, in the form of its events: the last eight bytes of its
/// digest, big-endian.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(transparent)]
pub struct EngineHash(pub u64);

impl EngineHash {
    /// From a raw digest (32 bytes of SHA-256, 16 of XXH3-128). `None` under eight bytes.
    pub fn from_digest(digest: &[u8]) -> Option<Self> {
        digest
            .last_chunk::<8>()
            .map(|tail| Self(u64::from_be_bytes(*tail)))
    }
}

const PARENT_MIX: u64 = 0x9e37_79b9_7f4a_7c15; // 2^64 / golden ratio
const CONTENT_MIX: u64 = 0xd1b5_4a32_d192_ed03; // 2^64 / the plastic number's square, odd

impl BlockKey {
    /// The key of the block that follows `self` and holds `content`.
    #[inline]
    #[must_use]
    pub fn extend(self, content: ContentHash) -> Self {
        let product = u128::from(self.0 ^ PARENT_MIX) * u128::from(content.0 ^ CONTENT_MIX);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are used")]
        Self(product as u64 ^ (product >> 64) as u64)
    }
}

/// Secret of one deployment that all keys depend on. Snapshots and records carry it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeySeed(pub u64);

impl KeySeed {
    /// The key that chains start from: every (`LoRA`, salt) pair has its own, so chains of two
    /// tenants never meet.
    #[must_use]
    pub fn root(self, lora: Option<&str>, salt: Option<&str>) -> BlockKey {
        let part = |tag: u64, text: Option<&str>| match text {
            None => tag,
            Some(text) => xxh3_64_with_seed(text.as_bytes(), self.0 ^ tag),
        };
        BlockKey(xxh3_64_with_seed(b"root", self.0))
            .extend(ContentHash(part(1, lora)))
            .extend(ContentHash(part(2, salt)))
    }

    /// Hash of a block's tokens.
    #[inline]
    #[must_use]
    pub fn content(self, tokens: &[TokenId]) -> ContentHash {
        // A token array on the stack for usual block sizes; the compiler makes it a copy.
        let mut bytes = [0_u8; 4 * 64];
        if let Some(filled) = bytes.get_mut(..4 * tokens.len()) {
            for (to, token) in filled.chunks_exact_mut(4).zip(tokens) {
                to.copy_from_slice(&token.to_le_bytes());
            }
            return self.content_of_bytes(filled);
        }
        let long: Vec<u8> = tokens
            .iter()
            .flat_map(|token| token.to_le_bytes())
            .collect();
        self.content_of_bytes(&long)
    }

    /// Hash of a block's tokens, given as little-endian `u32`s.
    #[inline]
    #[must_use]
    pub fn content_of_bytes(self, tokens_le: &[u8]) -> ContentHash {
        ContentHash(xxh3_64_with_seed(tokens_le, self.0))
    }

    /// Mixes what else identifies a block (an image and its offset, an embedding's digest) into
    /// its content.
    #[must_use]
    pub fn content_with(self, content: ContentHash, extra: &[u8]) -> ContentHash {
        ContentHash(xxh3_64_with_seed(extra, self.0 ^ content.0))
    }

    /// Appends to `chain` the keys of the full blocks of `tokens`, each `block_tokens` long,
    /// starting after `parent` (a root, or the key of the block before). Returns the last key.
    pub fn extend_chain(
        self,
        parent: BlockKey,
        tokens: &[TokenId],
        block_tokens: usize,
        chain: &mut Vec<BlockKey>,
    ) -> BlockKey {
        let mut key = parent;
        for block in tokens.chunks_exact(block_tokens.max(1)) {
            key = key.extend(self.content(block));
            chain.push(key);
        }
        key
    }
}

#[cfg(test)]
mod tests;
