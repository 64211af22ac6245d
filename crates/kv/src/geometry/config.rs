//! What a `config.json` says, under the names that model families give it.

use super::{Attention, GeometryError};
use serde_json::{Map, Value};

type Read<T> = Result<T, GeometryError>;

/// Where multimodal models keep the part that is about text.
const NESTED: [&str; 5] = [
    "text_config",
    "llm_config",
    "language_config",
    "language_model_config",
    "thinker_config",
];
/// Names of one thing, the usual one first.
const LAYERS: [&str; 4] = ["num_hidden_layers", "n_layer", "num_layers", "n_layers"];
const HEADS: [&str; 3] = ["num_attention_heads", "n_head", "n_heads"];
const KV_HEADS: [&str; 5] = [
    "num_key_value_heads",
    "n_head_kv",
    "num_kv_heads",
    "multi_query_group_num",
    "kv_n_heads",
];
const HIDDEN: [&str; 3] = ["hidden_size", "n_embd", "d_model"];
const EXPERTS: [&str; 3] = ["n_routed_experts", "num_local_experts", "num_experts"];
const HEAD_DIM: [&str; 2] = ["head_dim", "kv_channels"];

/// Nestings followed: `thinker_config` has a `text_config`.
const NESTING_MAX: usize = 2;

pub(super) struct Config {
    /// The text part first, then what it stands in.
    levels: Vec<Map<String, Value>>,
}

impl Config {
    pub(super) fn parse(text: &str) -> Read<Self> {
        let parsed = serde_json::from_str::<Map<String, Value>>(text);
        let outer = parsed.map_err(|error| GeometryError::NotJson(error.to_string()))?;
        let mut levels = vec![outer];
        while levels.len() <= NESTING_MAX {
            let Some(inner) = levels.first().and_then(nested) else {
                break;
            };
            levels.insert(0, inner);
        }
        Ok(Self { levels })
    }

    /// Only the text part's own: a vision tower's layers don't count.
    fn own(&self, names: &[&'static str]) -> Option<(&'static str, &Value)> {
        let own = self.levels.first()?;
        let found = |name: &&'static str| own.get(*name).map(|value| (*name, value));
        names
            .iter()
            .find_map(found)
            .filter(|(_, value)| !value.is_null())
    }

    fn number(&self, names: &[&'static str]) -> Read<Option<u32>> {
        let Some((field, value)) = self.own(names) else {
            return Ok(None);
        };
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        match number.filter(|number| *number > 0) {
            Some(number) => Ok(Some(number)),
            None => Err(wrong(field, value, "a whole number above zero")),
        }
    }

    fn needed(&self, names: &[&'static str]) -> Read<u32> {
        let usual = names.first().copied().unwrap_or_default();
        self.number(names)?.ok_or(GeometryError::Missing(usual))
    }

    /// A number under its only name.
    pub(super) fn optional(&self, name: &'static str) -> Read<Option<u32>> {
        match self.own(&[name]) {
            // "none": no shared experts, no dense layers first.
            Some((_, value)) if value.as_u64() == Some(0) => Ok(None),
            _ => self.number(&[name]),
        }
    }

    /// Experts, where the feed-forward parts have any.
    pub(super) fn experts(&self) -> Read<Option<u32>> {
        self.number(&EXPERTS)
    }

    pub(super) fn heads(&self) -> Read<u32> {
        self.needed(&HEADS)
    }

    pub(super) fn hidden(&self) -> Read<u32> {
        self.needed(&HIDDEN)
    }

    pub(super) fn all_layers(&self) -> Read<u32> {
        self.needed(&LAYERS)
    }

    /// Whether words go in and out by the same matrix.
    pub(super) fn is_tied(&self) -> bool {
        let tied = |level: &Map<String, Value>| level.get("tie_word_embeddings")?.as_bool();
        self.levels.iter().find_map(tied).unwrap_or(false)
    }

    /// Layers that keep something of each token.
    pub(super) fn layers(&self) -> Read<u32> {
        let all = self.all_layers()?;
        let Some((_, Value::Array(types))) = self.own(&["layer_types"]) else {
            return Ok(all);
        };
        let keeps = |kind: &&Value| !matches!(kind.as_str(), Some("linear_attention" | "mamba"));
        let keeping = types.iter().filter(keeps).count();
        Ok(u32::try_from(keeping).unwrap_or(all))
    }

    pub(super) fn attention(&self) -> Read<Attention> {
        if let Some(rank) = self.number(&["kv_lora_rank"])? {
            let rope = self.needed(&["qk_rope_head_dim"])?;
            return Ok(Attention::Latent {
                width: rank.saturating_add(rope),
            });
        }
        let heads = self.heads()?;
        Ok(Attention::Heads {
            kv_heads: self.kv_heads(heads)?,
            head_dim: self.head_dim(heads)?,
        })
    }

    /// One with "`multi_query`" (Falcon, `StarCoder`), unless a number says otherwise; without
    /// either as many as query heads.
    fn kv_heads(&self, heads: u32) -> Read<u32> {
        let one = self.own(&["multi_query"]).map(|(_, value)| value) == Some(&Value::Bool(true));
        let grouped = self
            .own(&["new_decoder_architecture"])
            .map(|(_, value)| value)
            == Some(&Value::Bool(true));
        if one && !grouped && self.own(&["multi_query_group_num"]).is_none() {
            return Ok(1);
        }
        Ok(self.number(&KV_HEADS)?.unwrap_or(heads))
    }

    pub(super) fn head_dim(&self, heads: u32) -> Read<u32> {
        if let Some(given) = self.number(&HEAD_DIM)? {
            return Ok(given);
        }
        let hidden = self.number(&HIDDEN)?;
        let hidden = hidden.ok_or(GeometryError::Missing("head_dim and no hidden_size"))?;
        if hidden % heads == 0 {
            return Ok(hidden / heads);
        }
        Err(GeometryError::Wrong {
            field: "hidden_size",
            value: hidden.to_string(),
            expected: "a multiple of num_attention_heads, or head_dim beside it",
        })
    }

    /// Bytes of an element of the model's own type, which the text part or the whole names.
    pub(super) fn element_bytes(&self) -> Read<u64> {
        let named = |level: &Map<String, Value>| {
            let value = level.get("dtype").or_else(|| level.get("torch_dtype"));
            value.filter(|value| !value.is_null()).cloned()
        };
        let Some(value) = self.levels.iter().find_map(named) else {
            return Err(GeometryError::Missing("dtype or torch_dtype"));
        };
        match value.as_str().map(|name| name.trim_start_matches("torch.")) {
            // vLLM's own "auto" runs float32 models in half precision.
            Some("bfloat16" | "float16" | "float32") => Ok(2),
            Some("float8_e4m3fn" | "float8_e5m2") => Ok(1),
            _ => Err(wrong(
                "dtype",
                &value,
                "bfloat16, float16, float32 or float8",
            )),
        }
    }
}

fn nested(level: &Map<String, Value>) -> Option<Map<String, Value>> {
    let inner = NESTED.iter().find_map(|name| level.get(*name));
    inner.and_then(Value::as_object).cloned()
}

fn wrong(field: &'static str, value: &Value, expected: &'static str) -> GeometryError {
    GeometryError::Wrong {
        field,
        value: value.to_string(),
        expected,
    }
}
