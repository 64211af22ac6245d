//! What the models that people run keep of a token, by their names. An unknown model works as well;
//! only its sizes are not told in tokens.

use onefill_kv::geometry::{Attention, KvGeometry};

/// A model's shape, as far as sizes depend on it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Model {
    pub(crate) geometry: KvGeometry,
    /// Billions of parameters that one token passes through.
    pub(crate) active_billions: f64,
}

/// Bytes of an element of a bf16 cache, which is what vLLM makes of `auto`.
const ELEMENT_BYTES: u64 = 2;

/// The model that a name means: `org/Qwen2.5-7B-Instruct` is `qwen2.5-7b`.
pub(crate) fn find(name: &str) -> Option<Model> {
    let name = name.rsplit('/').next()?.to_lowercase();
    let name = name.strip_prefix("meta-").unwrap_or(&name);
    // A distilled model has the shape of the model that was taught.
    if name.contains("distill") {
        return None;
    }
    let means = |known: &str| {
        let rest = name.strip_prefix(known);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.']))
    };
    // Of `qwen3-30b` and `qwen3-30b-a3b` the longer one.
    let known = MODELS.iter().filter(|(known, ..)| means(known));
    let (_, layers, attention, active_billions) = known.max_by_key(|(known, ..)| known.len())?;
    Some(Model {
        geometry: KvGeometry {
            layers: *layers,
            attention: *attention,
            layer_bytes: attention.elements() * ELEMENT_BYTES,
        },
        active_billions: *active_billions,
    })
}

const fn heads(kv_heads: u32, head_dim: u32) -> Attention {
    Attention::Heads { kv_heads, head_dim }
}

/// DeepSeek's compressed vector and its positional part.
const LATENT: Attention = Attention::Latent { width: 512 + 64 };

/// Name, layers, attention, billions of active parameters: from each model's `config.json` and card.
const MODELS: [(&str, u32, Attention, f64); 26] = [
    ("qwen2.5-0.5b", 24, heads(2, 64), 0.49),
    ("qwen2.5-1.5b", 28, heads(2, 128), 1.54),
    ("qwen2.5-3b", 36, heads(2, 128), 3.09),
    ("qwen2.5-7b", 28, heads(4, 128), 7.61),
    ("qwen2.5-14b", 48, heads(8, 128), 14.7),
    ("qwen2.5-32b", 64, heads(8, 128), 32.5),
    ("qwen2.5-72b", 80, heads(8, 128), 72.7),
    ("qwen3-0.6b", 28, heads(8, 128), 0.6),
    ("qwen3-1.7b", 28, heads(8, 128), 1.7),
    ("qwen3-4b", 36, heads(8, 128), 4.0),
    ("qwen3-8b", 36, heads(8, 128), 8.2),
    ("qwen3-14b", 40, heads(8, 128), 14.8),
    ("qwen3-32b", 64, heads(8, 128), 32.8),
    ("qwen3-30b-a3b", 48, heads(4, 128), 3.3),
    ("qwen3-235b-a22b", 94, heads(4, 128), 22.0),
    ("llama-3.2-1b", 16, heads(8, 64), 1.24),
    ("llama-3.2-3b", 28, heads(8, 128), 3.21),
    ("llama-3.1-8b", 32, heads(8, 128), 8.03),
    ("llama-3.1-70b", 80, heads(8, 128), 70.6),
    ("llama-3.3-70b", 80, heads(8, 128), 70.6),
    ("llama-3.1-405b", 126, heads(8, 128), 405.0),
    ("mistral-7b", 32, heads(8, 128), 7.25),
    ("mixtral-8x7b", 32, heads(8, 128), 12.9),
    ("deepseek-v3", 61, LATENT, 37.0),
    ("deepseek-r1", 61, LATENT, 37.0),
    ("kimi-k2", 61, LATENT, 32.0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_a_token_are_those_of_the_models_cards() {
        for (name, bytes) in [
            ("Qwen/Qwen2.5-1.5B-Instruct", 28_672),
            ("Qwen/Qwen2.5-7B-Instruct-AWQ", 57_344),
            ("meta-llama/Llama-3.1-8B-Instruct", 131_072),
            ("meta-llama/Meta-Llama-3.1-70B-Instruct", 327_680),
            ("Qwen/Qwen2.5-72B-Instruct", 327_680),
            ("meta-llama/Llama-3.1-405B", 516_096),
            ("deepseek-ai/DeepSeek-V3", 70_272),
            ("moonshotai/Kimi-K2.5", 70_272),
            ("Qwen/Qwen3-30B-A3B-Instruct-2507", 98_304),
        ] {
            let found = find(name).map(|model| model.geometry.bytes_per_token());
            assert_eq!(found, Some(bytes), "{name}");
        }
        for unknown in [
            "Qwen2.5-70B",
            "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B",
            "x",
            "",
        ] {
            assert_eq!(find(unknown), None, "{unknown}");
        }
    }
}
