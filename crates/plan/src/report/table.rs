//! A table for a terminal.

use super::Section;
use std::fmt::Write as _;

/// The sections, one under the other.
#[must_use]
pub fn table(sections: &[Section]) -> String {
    let mut text = String::new();
    for section in sections {
        _ = writeln!(text, "{}", section.title); // a String takes everything
        _ = writeln!(
            text,
            "  {:<14} {:>6} {:>6} {:>6} {:>6} {:>9} {:>8} {:>8} {:>8} {:>9} {:>7} {:>7}",
            "policy",
            "hit %",
            "gpu %",
            "cpu %",
            "store %",
            "imbalance",
            "ttft",
            "p50",
            "p90",
            "p99",
            "latency",
            "req/s"
        );
        for each in &section.outcomes {
            let ttft = &each.ttft_s;
            _ = writeln!(
                text,
                "  {:<14} {:>6.2} {:>6.2} {:>6.2} {:>7.2} {:>9.2} {:>8} {:>8} {:>8} {:>9} {:>7} {:>7.2}",
                each.policy,
                100.0 * each.hit_ratio(),
                100.0 * each.gpu_ratio(),
                100.0 * each.cpu_ratio(),
                100.0 * each.store_ratio(),
                each.imbalance,
                seconds(ttft.mean),
                seconds(ttft.p50),
                seconds(ttft.p90),
                seconds(ttft.p99),
                seconds(each.latency_s.mean),
                each.requests_s(),
            );
        }
    }
    text
}

/// Seconds with three digits that matter.
fn seconds(value: f64) -> String {
    match value {
        _ if value < 10.0 => format!("{value:.3}"),
        _ if value < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
