//! The Crossplane composition function: [`onefill_control::compose`] behind gRPC.
#![forbid(unsafe_code)]

mod answer;
mod json;
mod message;
mod serve;

pub use serve::{Config, ServeError, Tls, run};

#[cfg(test)]
mod tests;
