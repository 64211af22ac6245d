//! How long a replica computes: FLOPs of the model over what its accelerators reach.

use super::{Gpu, Model};

/// What an engine makes of its accelerators.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize)]
pub struct Software {
    /// Share of the accelerators' arithmetic that a long prefill reaches.
    pub mfu: f64,
    /// Bytes a second of a layer's all-reduce between tensor-parallel ranks; infinite: part of `mfu`.
    pub all_reduce_bytes_s: f64,
    /// Time that each layer takes at least (launches, reading of weights).
    pub layer_s: f64,
}

/// Dense models on an engine of today, communication included.
const MFU: f64 = 0.5;
/// DeepSeek's published 73,700 input tokens a second and node, of which 43.7 % were computed.
const MFU_LATENT: f64 = 0.38;
/// All-reduces of one layer: after attention, after the feed-forward part.
const ALL_REDUCES: f64 = 2.0;
const ACTIVATION_BYTES: f64 = 2.0;

impl Software {
    /// An engine of today, where nothing was measured.
    #[must_use]
    pub fn usual(model: &Model) -> Self {
        Self {
            mfu: if model.is_latent() { MFU_LATENT } else { MFU },
            all_reduce_bytes_s: f64::INFINITY,
            layer_s: 0.0,
        }
    }

    /// The engines of 2023 that Splitwise's published prefill times were measured on, for the two
    /// accelerators that these have: fitted to its Llama-2 70B rows, BLOOM's follow.
    #[must_use]
    pub fn measured_2023(gpu: &str) -> Option<Self> {
        let (mfu, all_reduce_bytes_s, layer_s) = match gpu {
            "a100" => (0.68, 50e9, 0.85e-3),
            "h100" => (0.56, 100e9, 0.70e-3),
            _ => return None,
        };
        Some(Self {
            mfu,
            all_reduce_bytes_s,
            layer_s,
        })
    }
}

/// One replica: a model on its accelerators.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    /// The model.
    pub model: &'a Model,
    /// Its accelerators' kind.
    pub gpu: Gpu,
    /// How many of them.
    pub gpus: u32,
    /// What the engine makes of them.
    pub software: Software,
}

impl Machine<'_> {
    /// Seconds that a token at the very beginning takes.
    fn token_s(&self) -> f64 {
        2.0 * self.model.active as f64 / self.flops_s() + self.all_reduce_s()
    }

    /// Seconds that a token takes besides for each token before it.
    #[must_use]
    pub fn attention_s(&self) -> f64 {
        self.model.attention_flops() / self.flops_s()
    }

    fn flops_s(&self) -> f64 {
        f64::from(self.gpus) * self.gpu.tflops * 1e12 * self.software.mfu
    }

    /// Seconds that ranks exchange one token's activations for.
    fn all_reduce_s(&self) -> f64 {
        let ranks = f64::from(self.gpus);
        let layer = ALL_REDUCES * ACTIVATION_BYTES * f64::from(self.model.hidden);
        let ring = 2.0 * (ranks - 1.0) / ranks;
        f64::from(self.model.layers) * layer * ring / self.software.all_reduce_bytes_s
    }

    /// Seconds to compute `tokens` that stand after `before` others, alone on the replica.
    #[must_use]
    pub fn prefill_s(&self, before: u64, tokens: u64) -> f64 {
        self.batch_s(1, before, tokens)
    }

    /// Seconds to compute `prompts` such prompts at once.
    #[must_use]
    pub fn batch_s(&self, prompts: u64, before: u64, tokens: u64) -> f64 {
        let (before, tokens) = (before as f64, tokens as f64);
        let each = self.token_s() + self.attention_s() * (before + tokens / 2.0);
        let least = f64::from(self.model.layers) * self.software.layer_s;
        (prompts as f64 * tokens * each).max(least)
    }

    /// Tokens a second that recomputing a prefix of so many takes.
    #[must_use]
    pub fn recompute_tokens_s(&self, prefix: u64) -> f64 {
        prefix as f64 / self.prefill_s(0, prefix)
    }

    /// The bandwidth, in bytes a second, from which on loading a prefix beats computing it, the
    /// time to the first byte left aside.
    #[must_use]
    pub fn break_even_bytes_s(&self, prefix: u64, token_bytes: u64) -> f64 {
        token_bytes as f64 * self.recompute_tokens_s(prefix)
    }

    /// Tokens from which on loading beats computing where the first byte comes after `first_s`;
    /// `None` where it never does within `most`.
    #[must_use]
    pub fn least_tokens(
        &self,
        first_s: f64,
        bytes_s: f64,
        token_bytes: u64,
        most: u64,
    ) -> Option<u64> {
        // first_s + n load = n each + n^2 half, the later root of which is the answer.
        let load_s = token_bytes as f64 / bytes_s;
        let (gain, half) = (self.token_s() - load_s, self.attention_s() / 2.0);
        let root = (gain * gain + 4.0 * half * first_s).sqrt();
        let tokens = if half > 0.0 {
            (root - gain) / (2.0 * half)
        } else {
            first_s / gain
        };
        (tokens.is_finite() && tokens >= 0.0 && tokens <= most as f64).then(|| tokens.ceil() as u64)
    }
}
