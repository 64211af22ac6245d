//! Models that are known without their `config.json`: sizes that their makers published.

use onefill_kv::geometry::{Attention, KvGeometry};

/// A known model.
pub(super) struct Row {
    /// How its identifier begins, in lower case and without its owner.
    pub(super) key: &'static str,
    /// In bf16.
    pub(super) kv: KvGeometry,
    pub(super) heads: u32,
    pub(super) hidden: u32,
    /// In 10^9.
    pub(super) parameters_b: f64,
    /// Those that one token meets.
    pub(super) active_b: f64,
}

const BF16: u64 = 2;

/// Layers, query heads, KV heads, elements a head, hidden size; parameters in 10^9.
const fn grouped(key: &'static str, sizes: [u32; 5], parameters_b: f64, active_b: f64) -> Row {
    let [layers, heads, kv_heads, head_dim, hidden] = sizes;
    let attention = Attention::Heads { kv_heads, head_dim };
    Row {
        key,
        kv: KvGeometry {
            layers,
            attention,
            layer_bytes: attention.elements() * BF16,
        },
        heads,
        hidden,
        parameters_b,
        active_b,
    }
}

const fn dense(key: &'static str, sizes: [u32; 5], parameters_b: f64) -> Row {
    grouped(key, sizes, parameters_b, parameters_b)
}

/// Layers, query heads, hidden size, of DeepSeek's attention: 512 + 64 elements a layer.
const fn latent(key: &'static str, sizes: [u32; 3], parameters_b: f64, active_b: f64) -> Row {
    let [layers, heads, hidden] = sizes;
    let attention = Attention::Latent { width: 512 + 64 };
    Row {
        key,
        kv: KvGeometry {
            layers,
            attention,
            layer_bytes: attention.elements() * BF16,
        },
        heads,
        hidden,
        parameters_b,
        active_b,
    }
}

/// Sliding windows and chunked attention are counted as full: an upper bound.
pub(super) const MODELS: [Row; 40] = [
    dense("qwen2.5-0.5b", [24, 14, 2, 64, 896], 0.494),
    dense("qwen2.5-1.5b", [28, 12, 2, 128, 1536], 1.54),
    dense("qwen2.5-3b", [36, 16, 2, 128, 2048], 3.09),
    dense("qwen2.5-7b", [28, 28, 4, 128, 3584], 7.62),
    dense("qwen2.5-14b", [48, 40, 8, 128, 5120], 14.8),
    dense("qwen2.5-32b", [64, 40, 8, 128, 5120], 32.8),
    dense("qwen2.5-72b", [80, 64, 8, 128, 8192], 72.7),
    dense("qwen3-8b", [36, 32, 8, 128, 4096], 8.19),
    dense("qwen3-14b", [40, 40, 8, 128, 5120], 14.8),
    dense("qwen3-32b", [64, 64, 8, 128, 5120], 32.8),
    grouped("qwen3-30b-a3b", [48, 32, 4, 128, 2048], 30.5, 3.3),
    grouped("qwen3-235b-a22b", [94, 64, 4, 128, 4096], 235.0, 22.0),
    grouped("qwen3-coder-480b-a35b", [62, 96, 8, 128, 6144], 480.0, 35.0),
    dense("llama-2-7b", [32, 32, 32, 128, 4096], 6.74),
    dense("llama-2-70b", [80, 64, 8, 128, 8192], 69.0),
    dense("llama-3.1-8b", [32, 32, 8, 128, 4096], 8.03),
    dense("llama-3.1-70b", [80, 64, 8, 128, 8192], 70.6),
    dense("llama-3.1-405b", [126, 128, 8, 128, 16_384], 405.9),
    dense("llama-3.2-1b", [16, 32, 8, 64, 2048], 1.24),
    dense("llama-3.2-3b", [28, 24, 8, 128, 3072], 3.21),
    dense("llama-3.3-70b", [80, 64, 8, 128, 8192], 70.6),
    grouped("llama-4-scout-17b-16e", [48, 40, 8, 128, 5120], 109.0, 17.0),
    grouped(
        "llama-4-maverick-17b-128e",
        [48, 40, 8, 128, 5120],
        400.0,
        17.0,
    ),
    dense("mistral-7b", [32, 32, 8, 128, 4096], 7.25),
    dense("mistral-nemo", [40, 32, 8, 128, 5120], 12.2),
    dense("mistral-small-24b", [40, 32, 8, 128, 5120], 23.6),
    grouped("mixtral-8x7b", [32, 32, 8, 128, 4096], 46.7, 12.9),
    grouped("mixtral-8x22b", [56, 48, 8, 128, 6144], 141.0, 39.0),
    dense("gemma-2-9b", [42, 16, 8, 256, 3584], 9.24),
    dense("gemma-2-27b", [46, 32, 16, 128, 4608], 27.2),
    dense("phi-4", [40, 40, 10, 128, 5120], 14.7),
    dense("bloom", [70, 112, 112, 128, 14_336], 176.2),
    grouped("gpt-oss-20b", [24, 64, 8, 64, 2880], 20.9, 3.6),
    grouped("gpt-oss-120b", [36, 64, 8, 64, 2880], 116.8, 5.1),
    latent("deepseek-v2-lite", [27, 16, 2048], 15.7, 2.4),
    latent("deepseek-v3", [61, 128, 7168], 671.0, 37.0),
    latent("deepseek-v3.1", [61, 128, 7168], 671.0, 37.0),
    latent("deepseek-r1", [61, 128, 7168], 671.0, 37.0),
    latent("kimi-k2", [61, 64, 7168], 1026.0, 32.0),
    latent("kimi-k2.5", [61, 64, 7168], 1026.0, 32.0),
];
