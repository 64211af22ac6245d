//! A plan for a terminal.

use super::{
    LINKS, Need, Plan,
    plan::{GIB, PEAK},
    section,
};
use crate::sim::Outcome;
use std::fmt::Write as _;

/// The plan in words and tables.
#[must_use]
pub fn text(plan: &Plan) -> String {
    let mut text = String::new();
    let mut say = |line: String| {
        _ = writeln!(text, "{line}"); // a String takes everything
    };
    say(format!(
        "{} on {} x {}, {} replica(s)",
        plan.model, plan.gpus, plan.gpu, plan.replicas
    ));
    say(format!(
        "\na token takes {} bytes, a block of {} tokens {}; a GiB holds {} tokens",
        plan.token_bytes,
        plan.block_tokens,
        size(plan.block_bytes as f64),
        plan.tokens_per_gib
    ));
    for tokens in [4_u64 << 10, 32 << 10, 128 << 10] {
        let bytes = (tokens * plan.token_bytes) as f64;
        say(format!(
            "  {:>4}k tokens  {:>10}",
            tokens >> 10,
            size(bytes)
        ));
    }
    say(format!(
        "a replica's accelerators hold {} tokens of it",
        plan.gpu_tokens
    ));
    loading(plan, &mut say);
    if let Some(need) = &plan.need {
        needs(plan, need, &mut say);
    }
    for words in &plan.words {
        say(format!("\nnote: {words}"));
    }
    say(format!("\nto paste under spec:\n{}", section(plan)));
    text
}

fn loading(plan: &Plan, say: &mut dyn FnMut(String)) {
    let names: String = LINKS
        .iter()
        .map(|link| format!("{:>7}", link.name))
        .collect();
    say(
        "\nload or compute: how many times faster loading a prefix is, by what it comes over"
            .to_owned(),
    );
    say(format!(
        "  {:>7} {:>12} {:>16}{names}",
        "prefix", "computed/s", "break-even GB/s"
    ));
    for each in &plan.loading {
        let times: String = each
            .times
            .iter()
            .map(|times| format!("{times:>7.1}"))
            .collect();
        say(format!(
            "  {:>6}k {:>12.0} {:>16.2}{times}",
            each.prefix >> 10,
            each.recompute_tokens_s,
            each.break_even_bytes_s / 1e9
        ));
    }
    let network = plan.network_bytes_s / 1e9;
    say(match plan.least_tokens {
        Some(tokens) => format!("over {network:.1} GB/s loading wins from {tokens} tokens on"),
        None => format!("over {network:.1} GB/s loading never wins"),
    });
}

fn needs(plan: &Plan, need: &Need, say: &mut dyn FnMut(String)) {
    say(format!(
        "\nthis workload: an unlimited cache has {:.1} % of its prompt tokens; wanted {:.1} %",
        100.0 * need.ideal_ratio,
        100.0 * need.wanted_ratio
    ));
    say(format!(
        "  {:>12} {:>10} {:>7}",
        "tokens", "memory", "hit %"
    ));
    for rate in &need.curve {
        let (bytes, hits) = (size(rate.bytes), 100.0 * rate.hit_ratio);
        say(format!("  {:>12} {bytes:>10} {hits:>7.1}", rate.tokens));
    }
    say(format!(
        "it takes {} tokens, {}: the accelerators together hold {}",
        need.tokens,
        size(need.bytes),
        u64::from(plan.replicas) * plan.gpu_tokens
    ));
    if need.cpu_alone_bytes > 0.0 {
        say(format!(
            "without a store each replica would need {} of host memory",
            size(need.cpu_alone_bytes)
        ));
    }
    say(format!(
        "\nsimulated\n  {:<26} {:>7} {:>10} {:>10} {:>9}",
        "", "hit %", "TTFT mean", "p90", "imbalance"
    ));
    row("in turn, no tiers", &need.before, say);
    row("as planned", &need.planned, say);
    if plan.stores > 0 {
        say(format!(
            "{} store(s) of {} in all; {:.2} GB/s between them and the replicas on the mean, {:.1} at peaks",
            plan.stores,
            size(plan.store_bytes),
            need.store_bytes_s / 1e9,
            PEAK * need.store_bytes_s / 1e9
        ));
    }
    say(format!(
        "what is loaded instead of computed would keep {:.2} accelerators busy",
        need.gpus_saved
    ));
    if plan.saved_price > 0.0 || plan.store_price > 0.0 {
        say(format!(
            "an hour: {:.2} for the stores' memory, {:.2} of accelerators' time spared",
            plan.store_price, plan.saved_price
        ));
    }
}

fn row(what: &str, outcome: &Outcome, say: &mut dyn FnMut(String)) {
    say(format!(
        "  {what:<26} {:>7.1} {:>8.3} s {:>8.3} s {:>9.2}",
        100.0 * outcome.hit_ratio(),
        outcome.ttft_s.mean,
        outcome.ttft_s.p90,
        outcome.imbalance
    ));
}

/// Bytes with a binary unit.
pub(super) fn size(bytes: f64) -> String {
    match bytes {
        _ if bytes >= 1024.0 * GIB => format!("{:.2} TiB", bytes / GIB / 1024.0),
        _ if bytes >= GIB => format!("{:.2} GiB", bytes / GIB),
        _ if bytes >= 1024.0 * 1024.0 => format!("{:.1} MiB", bytes / 1024.0 / 1024.0),
        _ => format!("{:.0} KiB", bytes / 1024.0),
    }
}
