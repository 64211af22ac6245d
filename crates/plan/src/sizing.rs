//! How big, and whether it pays: bytes a token, load or recompute, sizes for a wanted hit ratio.
//!
//! ```text
//! recompute  FLOPs a token = 2 x active parameters + attention, which grows with its position
//! load       bytes a token / bandwidth, after a time to the first byte
//! load pays  where bandwidth > bytes a token x tokens recomputed a second
//! ```

mod ask;
mod curve;
mod gpu;
mod link;
mod machine;
mod model;
mod models;
mod need;
mod plan;
mod section;
mod text;

pub use ask::{Ask, Fault, Prices, Site};
pub use curve::{hit_ratio, hits, ideal_ratio, ratio, size_for};
pub use gpu::{GPUS, Gpu};
pub use link::{LINKS, Link};
pub use machine::{Machine, Software};
pub use model::{Model, ModelError};
pub use need::{Need, Rate};
pub use plan::{Loading, Plan, plan};
pub use section::section;
pub use text::text;

#[cfg(test)]
mod tests;
