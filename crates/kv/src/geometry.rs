//! Bytes of keys and values per token, from a model's `config.json`.
//!
//! ```text
//! heads   2 x layers x KV heads x head size x bytes an element     (MHA, GQA, MQA)
//! latent  layers x (kv_lora_rank + qk_rope_head_dim) x bytes       (MLA: one vector for both)
//! ```
//!
//! Tensor parallelism splits the KV heads over the ranks, so that a replica's sum stays as long as
//! it has no more ranks than KV heads; a latent vector stands on every rank.

mod cache_dtype;
mod config;
mod dims;

pub use cache_dtype::CacheDtype;
use config::Config;
pub use dims::ModelDims;

/// Shape of what a model keeps of each token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KvGeometry {
    /// Layers that keep something of every token: those of linear attention don't.
    pub layers: u32,
    /// What such a layer keeps.
    pub attention: Attention,
    /// Bytes that a layer keeps of one token.
    pub layer_bytes: u64,
}

/// What one layer keeps of a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attention {
    /// A key and a value for each KV head: as many as query heads (MHA), fewer (GQA) or one (MQA).
    Heads {
        /// KV heads.
        kv_heads: u32,
        /// Elements of a head's key, and of its value.
        head_dim: u32,
    },
    /// One compressed vector for all heads (MLA).
    Latent {
        /// Its elements: `kv_lora_rank` and `qk_rope_head_dim`.
        width: u32,
    },
}

/// Why a `config.json` doesn't tell the geometry.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GeometryError {
    /// Not JSON, or not an object.
    #[error("the model's config.json is not a JSON object: {0}")]
    NotJson(String),
    /// A field that is needed is not there, under none of its names.
    #[error("the model's config.json has no {0}")]
    Missing(&'static str),
    /// A field is there but makes no sense.
    #[error("the model's config.json: {field} is {value}, expected {expected}")]
    Wrong {
        /// Its name.
        field: &'static str,
        /// Its value, as JSON.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The cache's element type is for other models.
    #[error("the cache type {0} is only for models with latent attention (MLA)")]
    NeedsLatent(&'static str),
}

impl KvGeometry {
    /// From the text of a `config.json`; a multimodal model's text part is found in it. `cache` is
    /// the replica's `--kv-cache-dtype`.
    pub fn from_config(config_json: &str, cache: CacheDtype) -> Result<Self, GeometryError> {
        let config = Config::parse(config_json)?;
        let attention = config.attention()?;
        let own = match cache {
            CacheDtype::Auto => attention.elements() * config.element_bytes()?,
            _ => 0,
        };
        let kept = Self {
            layers: config.layers()?,
            attention,
            layer_bytes: own,
        };
        kept.with(cache)
    }

    /// The same with another element type; with "auto" as it is.
    pub fn with(mut self, cache: CacheDtype) -> Result<Self, GeometryError> {
        self.layer_bytes = match (self.attention, cache, cache.element_bytes()) {
            (Attention::Latent { .. }, CacheDtype::Fp8DsMla, _) => FP8_DS_MLA_BYTES,
            (_, CacheDtype::Fp8DsMla, _) => return Err(GeometryError::NeedsLatent(cache.name())),
            (_, _, Some(bytes)) => self.attention.elements() * bytes,
            (_, _, None) => self.layer_bytes,
        };
        Ok(self)
    }

    /// Bytes that a replica keeps of one token.
    #[must_use]
    pub const fn bytes_per_token(&self) -> u64 {
        self.layer_bytes * self.layers as u64
    }

    /// Bytes of a block of `block_tokens` tokens.
    #[must_use]
    pub const fn bytes_per_block(&self, block_tokens: u32) -> u64 {
        self.bytes_per_token() * block_tokens as u64
    }
}

/// vLLM's layout of one token of DeepSeek's sparse attention: 512 elements of fp8, four scales of
/// four bytes, 64 elements of bf16 (`vllm/model_executor/layers/attention/mla_attention.py`).
const FP8_DS_MLA_BYTES: u64 = 512 + 4 * 4 + 64 * 2;

impl Attention {
    /// Elements that a layer keeps of a token.
    #[must_use]
    pub const fn elements(&self) -> u64 {
        match *self {
            Self::Heads { kv_heads, head_dim } => 2 * kv_heads as u64 * head_dim as u64,
            Self::Latent { width } => width as u64,
        }
    }
}

#[cfg(test)]
mod tests;
