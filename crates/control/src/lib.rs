//! `LLMInference` to Kubernetes objects and status: everything that decides is [`compose`], a
//! function of what is wanted and what is there.
#![forbid(unsafe_code)]

mod admit;
mod compose;
mod explain;
mod fault;
mod objects;
mod quantity;
mod ready;
mod rules;
mod settings;
mod spec;
mod status;
mod wanted;
mod xrd;

pub use compose::{Composed, Input, Need, Resource, compose};
pub use explain::explain;
pub use fault::{Fault, Faults};
pub use objects::Wrapping;
pub use ready::Ready;
pub use settings::Settings;
pub use status::{Condition, Note};
pub use xrd::XRD;

#[cfg(test)]
mod tests;
