//! The `kvCache` section of an `LLMInference` that asks for what a plan says.

use super::{Plan, plan::GIB};
use std::fmt::Write as _;

/// YAML to be pasted under `spec:`. However many stores the plan counts, the section asks for one of their
/// size: clients don't spread keys over several yet (docs/decisions/several-stores.md).
#[must_use]
pub fn section(plan: &Plan) -> String {
    let mut text = String::from("kvCache:\n  enabled: true\n");
    let mut add = |line: std::fmt::Arguments<'_>| {
        _ = writeln!(text, "  {line}"); // a String takes everything
    };
    // Blocks pass through host memory on their way to a store: without a size it is derived.
    if plan.cpu_bytes > 0.0 || plan.stores == 0 {
        add(format_args!("offload:"));
        add(format_args!("  cpu: {}", quantity(plan.cpu_bytes)));
    }
    add(format_args!("store:"));
    if plan.stores == 0 {
        add(format_args!("  mode: None"));
    } else {
        add(format_args!("  mode: Managed"));
        add(format_args!("  size: {}", quantity(plan.store_bytes)));
    }
    add(format_args!("routing:"));
    let mode = if plan.routed { "KV" } else { "None" };
    add(format_args!("  mode: {mode}"));
    if plan.routed {
        add(format_args!("  blockSize: {}", plan.block_tokens));
    }
    text
}

/// As Kubernetes writes it; "0" turns off.
fn quantity(bytes: f64) -> String {
    match (bytes / GIB).ceil() as u64 {
        0 => "\"0\"".to_owned(),
        gib => format!("{gib}Gi"),
    }
}
