//! What a plan is asked for.

use super::{Gpu, Model};
use crate::trace::Trace;

/// Where it shall run.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Site {
    /// Kind of the accelerators.
    pub gpu: Gpu,
    /// Accelerators of one replica.
    pub gpus: u32,
    /// Replicas.
    pub replicas: u32,
    /// Share of their memory that the engine may use.
    pub gpu_memory_share: f64,
    /// Bits of one weight.
    pub weight_bits: f64,
    /// Host memory for blocks that one replica may have, in bytes; `None`: 4 GiB an accelerator.
    pub host_bytes: Option<f64>,
    /// Memory of one store node, in bytes.
    pub node_bytes: f64,
    /// Usable bytes a second of each node's and each replica's network.
    pub network_bytes_s: f64,
    /// Seconds before a load's first byte.
    pub first_byte_s: f64,
    /// Tokens that one replica was measured to prefill in a second; else the formula.
    pub prefill_tokens_s: Option<f64>,
}

/// What things cost an hour, in one currency. Zero: not told.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Prices {
    /// One accelerator.
    pub gpu: f64,
    /// One GiB of a store's memory.
    pub gib: f64,
}

/// What a plan is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The model.
    pub model: &'a Model,
    /// Where.
    pub site: Site,
    /// Tokens a block.
    pub block_tokens: u32,
    /// What is asked of the replicas.
    pub trace: Option<&'a Trace>,
    /// Hit ratio wanted of it.
    pub wanted: Option<f64>,
    /// Prices.
    pub prices: Prices,
}

/// Why there is no plan.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum Fault {
    /// The weights take all memory.
    #[error(
        "{model} takes {weights_gib:.0} GiB of weights, {gpus} {gpu} leave no room for blocks beside \
         them: give more accelerators (--gpus) or fewer bits (--weight-bits)"
    )]
    NoRoom {
        /// The model.
        model: String,
        /// Its weights.
        weights_gib: f64,
        /// The accelerators.
        gpu: &'static str,
        /// How many.
        gpus: u32,
    },
    /// More is wanted than there is to hit.
    #[error("an unlimited cache hits {ideal:.3} of this workload's prompt tokens, not {wanted}")]
    OutOfReach {
        /// Share that an unlimited cache hits.
        ideal: f64,
        /// Share wanted.
        wanted: f64,
    },
}
