//! An endpoint at the moment of a choice.

use crate::pods::Pod;
pub use onefill_fleet::Adapters;
use onefill_kv::Overlap;
use onefill_schedule::Candidate;
use std::sync::Arc;

/// An endpoint at the moment of a choice.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// What it is.
    pub pod: Arc<Pod>,
    /// What it holds, and its load.
    pub candidate: Candidate,
    /// Its adapters.
    pub adapters: Arc<Adapters>,
    /// Requests that this picker sent there and that are not over.
    pub in_flight: u32,
    /// Prompt tokens of them that are not computed yet.
    pub in_flight_tokens: f64,
}

impl Endpoint {
    /// What it holds of the prompt.
    #[must_use]
    pub const fn overlap(&self) -> Overlap {
        self.candidate.overlap
    }
}
