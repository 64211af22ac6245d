//! A simulated vLLM replica that speaks what a real one speaks: `OpenAI`'s paths, vLLM's metrics,
//! its KV events byte for byte, and faults on demand.
//!
//! ```text
//! serve ─▶ asked ─▶ replica ─▶ scheduler ─▶ blocks          (form, answer: back to the client)
//!                      │           └─▶ tell ─▶ publish ─▶ PUB, replay
//! ```
//!
//! What it computes is made up, what it caches is not: blocks, their names, what is evicted when
//! and what is told of it follow vLLM 0.32. Prompts are cut into tokens by the simulated tokenizer
//! (`onefill_prompt::Prompter::simulated`), so a router that uses it sees the same tokens.
//!
//! **Invariant.** Where neither prefill nor decoding takes time a request is computed where it
//! arrives, without waiting for any task; the cache and its events are the same.
#![forbid(unsafe_code)]

mod answer;
mod asked;
mod blocks;
mod body;
mod config;
mod faults;
mod figures;
mod form;
mod free_list;
mod names;
mod pages;
mod publish;
mod refusal;
mod replica;
mod run;
mod scheduler;
mod sequence;
mod serve;
mod speech;
mod tell;

pub use config::{Batch, Cache, Config, Events, Speed};
pub use faults::Order;
pub use onefill_events::encode::HashForm;
pub use run::{RunError, run};
