//! The OpenAI-compatible front door: requests in, a replica chosen for each, answers through.
//!
//! Files stand in the order in which a request travels: [`mod@run`] and `serve` accept it, `door`
//! says what its path is, `body` reads it, `prompt` turns it into block keys, `candidates` says
//! which replicas may take it and what they hold, `pick` chooses, `forward` sends it (again
//! elsewhere where nothing was answered), `relay` streams the answer through and hands the
//! ticket back.
//!
//! **Invariant.** The body reaches the replica byte for byte; nothing of an answer is buffered
//! but its first frame, which is held until it is there, so that a replica that dies before it
//! costs a retry and not an error.
#![forbid(unsafe_code)]

mod admin;
mod app;
mod auth;
mod body;
mod candidates;
mod check;
mod circuit;
mod config;
mod debug;
mod door;
mod error;
mod forward;
mod headers;
mod metrics;
mod models;
mod observe;
mod pick;
mod prompt;
mod queue;
mod relay;
mod reply;
mod roster;
mod run;
mod serve;
pub mod tls;
mod tokens;
mod upstream;

pub use config::{CircuitLimits, Config, Limits, Timeouts, Tokenizers};
pub use run::{Listeners, RunError, run};
