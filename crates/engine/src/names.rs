//! Names of a prompt's blocks, as this replica computes them.

use crate::config::{Adapter, Cache};
use onefill_kv::{
    TokenId,
    engine_hash::{Digest, EngineHasher, Extra},
};

/// Computes them; shared by all requests.
#[derive(Debug)]
pub(crate) struct Names {
    hasher: EngineHasher,
    block_tokens: usize,
}

impl Names {
    pub(crate) fn new(cache: &Cache) -> Self {
        // Tagged extra keys: those of vLLM 0.31 and later.
        let seed = cache.hash_seed.as_deref();
        Self {
            hasher: EngineHasher::new(cache.algorithm, seed, true),
            block_tokens: cache.block_tokens as usize,
        }
    }

    /// Of all full blocks of `tokens`.
    pub(crate) fn of(
        &self,
        tokens: &[TokenId],
        lora: Option<&Adapter>,
        salt: Option<&str>,
    ) -> Vec<Digest> {
        let mut hasher = self.hasher.clone(); // an empty buffer: nothing is copied
        let mut parent = hasher.none_hash();
        let lora = lora.map(|lora| Extra::Lora {
            name: &lora.name,
            path: &lora.path,
        });
        let mut extras: Vec<Extra<'_>> = lora.into_iter().collect();
        let plain = extras.len();
        extras.extend(salt.map(Extra::Salt));
        let mut name = |tokens: &[TokenId]| {
            parent = hasher.block(&parent, tokens, &extras);
            extras.truncate(plain); // the salt is in the first block only
            parent
        };
        tokens
            .chunks_exact(self.block_tokens.max(1))
            .map(&mut name)
            .collect()
    }
}
