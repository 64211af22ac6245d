//! The router's configuration: one TOML file, flags over it. Every fault is named at once, with
//! its place.
//!
//! ```toml
//! listen = "0.0.0.0:8080"
//! admin = "127.0.0.1:9090"
//! policy = "kv"                    # kv, prefix, session, least-load, round-robin
//! tokenizer = "models/llama"       # a folder, or "simulated"
//!
//! [[replica]]
//! url = "http://10.0.0.1:8000"
//! events = "tcp://10.0.0.1:5557"   # what is left out is asked of the replica
//!
//! [limits]
//! body_bytes = 67108864
//! ```

mod fault;
mod flags;
mod print;
mod read;
mod reader;
mod settings;

pub use fault::{Fault, Faults};
pub use flags::Flags;
pub use print::print;
pub use read::read;
pub use settings::{Replicas, Settings};

#[cfg(test)]
mod tests;
