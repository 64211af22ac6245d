//! The Envoy endpoint picker of the Gateway API Inference Extension: Envoy tells each request over
//! `ext_proc`, and is told which endpoint it goes to.
//!
//! Files stand in the order in which a request travels: [`mod@run`] and `serve` accept Envoy's
//! connections, `stream` is one request with all its IO, [`machine`] its protocol without any,
//! `decide` finds what is asked (`question`) and who may answer (`roster`), `choose` takes one, and
//! `booking` hands the scheduler's ticket back as the answer goes by.
//!
//! **Invariant.** A request's body is sent on as it came, but for the model's name where that is
//! rewritten; no piece of an answer waits for the next one.
//!
//! **Invariant.** A destination that a client sends never decides: the picker's stands in its place.
#![forbid(unsafe_code)]

mod app;
mod booking;
mod check;
mod choose;
mod config;
mod decide;
mod dice;
mod door;
pub mod endpoint;
pub mod files;
pub mod flow;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod headers;
mod health;
#[cfg(test)]
mod hermetic;
pub mod kubernetes;
pub mod machine;
mod metrics;
mod pages;
mod plan;
mod pods;
pub mod profile;
pub mod proto;
mod question;
pub mod refusal;
pub mod rename;
mod roster;
pub mod rules;
mod run;
pub mod saturation;
mod serve;
pub mod setup;
mod stream;
pub mod subset;
pub mod time;
pub mod tls;

pub use config::{Config, Limits, Timeouts};
pub use pods::{Found, Pod, Pods};
pub use run::{Listeners, run};
