//! A model as sizing sees it: what it keeps of a token, what it computes for one.

use super::models::{MODELS, Row};
use onefill_kv::geometry::{Attention, CacheDtype, GeometryError, KvGeometry, ModelDims};

/// A model.
#[derive(Clone, PartialEq, Debug)]
pub struct Model {
    /// For people, and for the object that is made of the plan.
    pub name: String,
    /// What it keeps of a token, with the cache's element type.
    pub kv: KvGeometry,
    /// All layers.
    pub layers: u32,
    /// Query heads.
    pub heads: u32,
    /// Elements of a head's key and of its value together.
    pub head_elements: u32,
    /// Elements of the residual stream.
    pub hidden: u32,
    /// Parameters.
    pub parameters: u64,
    /// Parameters that one token meets.
    pub active: u64,
}

/// Why there is no such model.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum ModelError {
    /// Not in the table.
    #[error("no model {0:?} is known: give the path of its config.json (known: {1})")]
    Unknown(String, String),
    /// Its `config.json` doesn't tell.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
}

impl Model {
    /// From the table, by its name or an identifier such as `meta-llama/Llama-3.1-8B-Instruct`.
    pub fn find(name: &str, cache: CacheDtype) -> Result<Self, ModelError> {
        let wanted = plain(name);
        let fits = |row: &&Row| {
            let rest = wanted.strip_prefix(row.key);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        let known = MODELS.iter().filter(fits).max_by_key(|row| row.key.len());
        match known.filter(|_| !wanted.contains("distill")) {
            Some(row) => Self::of(row, name, cache),
            None => {
                let all: Vec<&str> = MODELS.iter().map(|row| row.key).collect();
                Err(ModelError::Unknown(name.to_owned(), all.join(", ")))
            }
        }
    }

    /// From the text of its `config.json`.
    pub fn from_config(name: &str, text: &str, cache: CacheDtype) -> Result<Self, ModelError> {
        let dims = ModelDims::from_config(text)?;
        Ok(Self {
            name: name.to_owned(),
            kv: KvGeometry::from_config(text, cache)?,
            layers: dims.layers,
            heads: dims.heads,
            head_elements: dims.key_dim + dims.value_dim,
            hidden: dims.hidden,
            parameters: dims.parameters,
            active: dims.active,
        })
    }

    fn of(row: &Row, name: &str, cache: CacheDtype) -> Result<Self, ModelError> {
        let kv = row.kv.with(cache)?;
        let head_elements = match row.kv.attention {
            Attention::Heads { head_dim, .. } => 2 * head_dim,
            Attention::Latent { .. } => LATENT_HEAD,
        };
        Ok(Self {
            name: name.to_owned(),
            kv,
            layers: row.kv.layers,
            heads: row.heads,
            head_elements,
            hidden: row.hidden,
            parameters: (row.parameters_b * 1e9) as u64,
            active: (row.active_b * 1e9) as u64,
        })
    }

    /// Whether it keeps one compressed vector for all heads.
    #[must_use]
    pub fn is_latent(&self) -> bool {
        matches!(self.kv.attention, Attention::Latent { .. })
    }

    /// Operations that attending to one earlier token takes: products with its key and its value
    /// in every layer that keeps them.
    #[must_use]
    pub fn attention_flops(&self) -> f64 {
        2.0 * f64::from(self.kv.layers) * f64::from(self.heads) * f64::from(self.head_elements)
    }

    /// How often tensor-parallel ranks keep the same: KV heads beyond their number, latent vectors
    /// always.
    #[must_use]
    pub fn copies(&self, ranks: u32) -> f64 {
        match self.kv.attention {
            Attention::Heads { kv_heads, .. } => (f64::from(ranks) / f64::from(kv_heads)).max(1.0),
            Attention::Latent { .. } => f64::from(ranks),
        }
    }
}

/// A head of DeepSeek's attention in prefill: 128 + 64 elements of key, 128 of value.
const LATENT_HEAD: u32 = 192 + 128;

/// Without the owner and the words that name no other architecture.
fn plain(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    last.replace("meta-llama", "llama").replace('_', "-")
}
