//! Both runs side by side, for a terminal.

use super::{
    Setting,
    figures::{Figures, number, share, time},
    router::{Door, Fleet},
};
use std::{fmt::Write as _, path::Path};

/// Colours of a terminal.
struct Ink {
    bold: &'static str,
    dim: &'static str,
    good: &'static str,
    end: &'static str,
}

impl Ink {
    const fn new(colour: bool) -> Self {
        if colour {
            Self {
                bold: "\x1b[1m",
                dim: "\x1b[2m",
                good: "\x1b[32m",
                end: "\x1b[0m",
            }
        } else {
            Self {
                bold: "",
                dim: "",
                good: "",
                end: "",
            }
        }
    }
}

/// The table of two runs.
pub(crate) fn text(setting: &Setting, runs: &[Figures], colour: bool) -> String {
    let ink = Ink::new(colour);
    let mut text = String::new();
    let [before, after] = runs else {
        return text;
    };
    let Ink { bold, dim, end, .. } = ink;
    let (names, requests) = ([before.policy, after.policy], setting.workload.requests());
    _ = writeln!(
        text,
        "\n  {bold}{:22}{:>14}{:>14}{end}   {dim}{}, {requests} requests, seed {}{end}",
        "", names[0], names[1], setting.replicas, setting.seed
    );
    for (name, cells, change) in rows(before, after) {
        let good = if is_better(&change) { ink.good } else { "" };
        let line = format!(
            "  {name:22}{:>14}{bold}{:>14}{end}   {good}{change}{end}",
            cells[0], cells[1]
        );
        _ = writeln!(text, "{}", line.trim_end());
    }
    _ = writeln!(text, "\n  {}", receipts(after));
    text
}

/// A row: its name, a cell for each run, what changed.
type Row = (&'static str, [String; 2], String);

fn rows(before: &Figures, after: &Figures) -> Vec<Row> {
    let both = |cell: fn(&Figures) -> String| [cell(before), cell(after)];
    let tokens = |figures: &Figures| figures.prefill_tokens as f64;
    let p50 = |figures: &Figures| figures.ttft_p50.as_secs_f64();
    let p95 = |figures: &Figures| figures.ttft_p95.as_secs_f64();
    let mut rows = vec![
        (
            "cache hit ratio",
            both(|one| share(one.hit_ratio)),
            points(before.hit_ratio, after.hit_ratio),
        ),
        (
            "TTFT p50",
            both(|one| time(one.ttft_p50)),
            change(p50(before), p50(after)),
        ),
        (
            "TTFT p95",
            both(|one| time(one.ttft_p95)),
            change(p95(before), p95(after)),
        ),
        (
            "prefill tokens",
            both(|one| number(one.prefill_tokens as f64)),
            change(tokens(before), tokens(after)),
        ),
        (
            "busiest replica",
            both(|one| format!("{:.2} x even", one.imbalance)),
            String::new(),
        ),
        ("errors", both(|one| one.errors.to_string()), String::new()),
        (
            "whole run",
            both(|one| format!("{:.1} s", one.took.as_secs_f64())),
            change(before.took.as_secs_f64(), after.took.as_secs_f64()),
        ),
    ];
    if before.errors + after.errors == 0 {
        rows.retain(|(name, ..)| *name != "errors");
    }
    rows
}

/// "-81 %".
pub(crate) fn change(before: f64, after: f64) -> String {
    if before <= 0.0 {
        return String::new();
    }
    format!("{:+.0} %", (after / before - 1.0) * 100.0)
}

/// "+53 points".
pub(crate) fn points(before: f64, after: f64) -> String {
    format!("{:+.0} points", (after - before) * 100.0)
}

/// Of what is compared only the hit ratio, in points, is the better the more there is of it.
pub(crate) fn is_better(change: &str) -> bool {
    change.starts_with('+') == change.ends_with("points")
}

/// How the picks of a run came about.
pub(crate) fn receipts(figures: &Figures) -> String {
    let answered = figures.requests - figures.errors;
    let states: Vec<String> = figures
        .states
        .iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    let (warm, cold) = (figures.warm, answered - figures.warm);
    format!(
        "receipts of {}: {}; {warm} to a cached prefix, {cold} to a cold one; \
         cached tokens foretold exactly for {}",
        figures.policy,
        states.join(", "),
        share(figures.predicted as f64 / answered.max(1) as f64)
    )
}

/// Where the report is, and what to try next.
pub(crate) fn ending(report: &Path, vllm: bool, keep: bool) -> String {
    let mut text = format!("  report    file://{}\n", report.display());
    if !keep {
        text.push_str("  try next  onefill demo --keep            ask the router yourself\n");
    }
    if !vllm {
        text.push_str(
            "            onefill demo --vllm            the same on real vLLM replicas\n",
        );
    }
    text.push_str("            onefill router --replica URL   in front of your own replicas");
    if keep {
        text = text.replacen("            onefill", "  try next  onefill", 1);
    }
    text
}

/// What still runs, and how to ask it.
pub(crate) fn addresses(door: &Door, fleet: &Fleet) -> String {
    let (url, admin, model) = (&door.url, &door.admin, &fleet.model);
    let mut text =
        format!("\n  still running, until ctrl-c:\n    router    {url}\n    admin     {admin}\n");
    for replica in &fleet.urls {
        _ = writeln!(text, "    replica   {replica}");
    }
    _ = write!(
        text,
        "\n  curl -si {url}/v1/chat/completions -H 'content-type: application/json' \\\n    \
         -d '{{\"model\":\"{model}\",\"max_tokens\":16,\"messages\":[{{\"role\":\"user\",\"content\":\"hello\"}}]}}'\n  \
         curl -s {admin}/debug/fleet     what the router knows of each replica\n  \
         curl -s {admin}/metrics         its figures"
    );
    text
}

#[cfg(test)]
mod tests;
