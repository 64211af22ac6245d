//! Routing and eviction on real traces: a table for each goal, and an end with failure where one
//! is missed. `cargo xtask bench policies [lru|eviction|routing|loaded|ttft|small ...]`.
//!
//! Traces lie in `$ONEFILL_TRACES`, or in `shared/traces` beside the checkout.

mod eviction;
mod lru;
mod routing;
mod small;
mod traces;
mod ttft;

use std::process::ExitCode;

/// A part: prints its table, gives the goals missed.
type Part = (&'static str, fn() -> Vec<String>);

const PARTS: [Part; 6] = [
    ("lru", lru::run),
    ("eviction", eviction::run),
    ("routing", routing::run),
    ("loaded", routing::loaded),
    ("ttft", ttft::run),
    ("small", small::run),
];

fn main() -> ExitCode {
    let named: Vec<String> = std::env::args().skip(1).collect();
    let mut missed = Vec::new();
    for (name, part) in PARTS {
        if named.is_empty() || named.iter().any(|each| each == name) {
            missed.extend(part());
        }
    }
    for sentence in &missed {
        println!("MISSED: {sentence}");
    }
    match missed.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
