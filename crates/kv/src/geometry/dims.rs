//! A model's sizes beside what it keeps of a token: what its work follows from.

use super::{GeometryError, KvGeometry, cache_dtype::CacheDtype, config::Config};

/// Sizes of a model, from its `config.json`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ModelDims {
    /// What it keeps of a token, in its own element type.
    pub kv: KvGeometry,
    /// All layers, those of linear attention too.
    pub layers: u32,
    /// Query heads.
    pub heads: u32,
    /// Elements that a query and a key are compared in, for each head.
    pub key_dim: u32,
    /// Elements of a head's value.
    pub value_dim: u32,
    /// Elements of the residual stream.
    pub hidden: u32,
    /// Parameters, counted from the sizes.
    pub parameters: u64,
    /// Those of them that one token meets: of experts only its own.
    pub active: u64,
}

impl ModelDims {
    /// From the text of a `config.json`.
    pub fn from_config(config_json: &str) -> Result<Self, GeometryError> {
        let kv = KvGeometry::from_config(config_json, CacheDtype::Auto)?;
        let config = Config::parse(config_json)?;
        let heads = config.heads()?;
        let hidden = config.hidden()?;
        let latent = config.optional("kv_lora_rank")?;
        let (key_dim, value_dim) = match latent {
            Some(_) => {
                let rope = config.optional("qk_rope_head_dim")?.unwrap_or(0);
                let nope = config.optional("qk_nope_head_dim")?.unwrap_or(128);
                (nope + rope, config.optional("v_head_dim")?.unwrap_or(nope))
            }
            None => {
                let head_dim = config.head_dim(heads)?;
                (head_dim, head_dim)
            }
        };
        let mut dims = Self {
            kv,
            layers: config.all_layers()?,
            heads,
            key_dim,
            value_dim,
            hidden,
            parameters: 0,
            active: 0,
        };
        let attention = dims.attention_parameters(&config)?;
        let feed = Feed::of(&config, u64::from(hidden), u64::from(dims.layers))?;
        let vocabulary = u64::from(config.optional("vocab_size")?.unwrap_or(0)) * u64::from(hidden);
        let words = vocabulary * if config.is_tied() { 1 } else { 2 };
        let shared = attention * u64::from(dims.layers) + words;
        dims.parameters = shared + feed.all;
        dims.active = shared + feed.active;
        Ok(dims)
    }

    /// Of one layer.
    fn attention_parameters(&self, config: &Config) -> Result<u64, GeometryError> {
        let wide = |dim: u32| u64::from(self.heads) * u64::from(dim);
        let hidden = u64::from(self.hidden);
        let out = wide(self.value_dim) * hidden;
        let Some(rank) = config.optional("kv_lora_rank")?.map(u64::from) else {
            let kv = self.kv.attention.elements();
            return Ok(hidden * wide(self.key_dim) + out + hidden * kv);
        };
        let rope = u64::from(config.optional("qk_rope_head_dim")?.unwrap_or(0));
        let nope = u64::from(self.key_dim) - rope;
        let heads = u64::from(self.heads);
        let queries = match config.optional("q_lora_rank")?.map(u64::from) {
            Some(low) => low * (hidden + wide(self.key_dim)),
            None => hidden * wide(self.key_dim),
        };
        let keys = hidden * (rank + rope) + rank * heads * (nope + u64::from(self.value_dim));
        Ok(queries + keys + out)
    }
}

/// Parameters of all feed-forward parts.
struct Feed {
    all: u64,
    active: u64,
}

/// Gate, up and down.
const MATRICES: u64 = 3;

impl Feed {
    fn of(config: &Config, hidden: u64, layers: u64) -> Result<Self, GeometryError> {
        let number = |name| Ok::<_, GeometryError>(config.optional(name)?.map(u64::from));
        let dense = match number("intermediate_size")? {
            Some(width) => MATRICES * hidden * width,
            None => MATRICES * hidden * 4 * hidden,
        };
        let experts = match config.experts()?.map(u64::from) {
            None => {
                let all = dense * layers;
                return Ok(Self { all, active: all });
            }
            Some(experts) => experts,
        };
        let width = match number("moe_intermediate_size")? {
            Some(width) => width,
            None => number("intermediate_size")?.unwrap_or(4 * hidden),
        };
        let expert = MATRICES * hidden * width;
        let chosen = number("num_experts_per_tok")?.unwrap_or(1);
        let shared = number("n_shared_experts")?.unwrap_or(0);
        let first = number("first_k_dense_replace")?.unwrap_or(0).min(layers);
        let sparse = layers - first;
        let router = hidden * experts;
        Ok(Self {
            all: first * dense + sparse * (router + (experts + shared) * expert),
            active: first * dense + sparse * (router + (chosen + shared) * expert),
        })
    }
}
