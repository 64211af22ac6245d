//! What sharing would bring: traces, generators, and a simulator that runs the real index and the
//! real scheduler on simulated time.
//!
//! No IO: readers take bytes. No clock, and every random choice comes from a seed, so the same
//! arguments give the same figures.
#![forbid(unsafe_code)]

pub mod advise;
pub mod cache;
pub mod generate;
pub mod policy;
pub mod random;
pub mod report;
pub mod shelf;
pub mod sim;
pub mod sizing;
pub mod trace;
