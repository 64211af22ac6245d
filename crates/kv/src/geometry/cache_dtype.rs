//! Element type of the cache.

/// vLLM's `--kv-cache-dtype`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum CacheDtype {
    /// "auto": the model's own.
    #[default]
    Auto,
    /// "float32".
    Float32,
    /// "float16" or "bfloat16".
    Half,
    /// "fp8" and its kinds: one byte.
    Fp8,
    /// "`fp8_ds_mla`": DeepSeek's sparse attention, 656 bytes a layer.
    Fp8DsMla,
}

impl CacheDtype {
    /// By vLLM's name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "auto" => Self::Auto,
            "float32" | "float" => Self::Float32,
            "float16" | "half" | "bfloat16" => Self::Half,
            "fp8" | "fp8_e4m3" | "fp8_e5m2" | "fp8_inc" | "int8" => Self::Fp8,
            "fp8_ds_mla" => Self::Fp8DsMla,
            _ => return None,
        })
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Float32 => "float32",
            Self::Half => "half",
            Self::Fp8 => "fp8",
            Self::Fp8DsMla => "fp8_ds_mla",
        }
    }

    /// `None` where the model decides.
    pub(super) const fn element_bytes(self) -> Option<u64> {
        match self {
            Self::Auto => None,
            Self::Float32 => Some(4),
            Self::Half => Some(2),
            Self::Fp8 | Self::Fp8DsMla => Some(1),
        }
    }
}
