//! The report: one HTML file with its charts in it, which needs no network.

mod axis;
mod bars;
mod charts;
mod lines;

use super::{
    Setting,
    drive::Run,
    figures::{Figures, number, share, time},
    table,
};
use std::fmt::Write as _;

const STYLE: &str = include_str!("report/style.css");

/// The whole page.
pub(crate) fn page(setting: &Setting, runs: &[Run], figures: &[Figures]) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>onefill demo</title><style>{STYLE}</style></head><body><main>\n"
    );
    page.push_str(&header(setting));
    if let [before, after] = figures {
        page.push_str(&tiles(before, after));
    }
    page.push_str("<section class=\"charts\">\n");
    for figure in charts::all(runs) {
        page.push_str(&figure);
    }
    page.push_str("</section>\n");
    page.push_str(&table_of(figures));
    page.push_str(&ending(setting));
    page.push_str("</main></body></html>\n");
    page
}

fn header(setting: &Setting) -> String {
    let (requests, seed) = (setting.workload.requests(), setting.seed);
    format!(
        "<header><h1>A fleet that prefills a prefix <em>once</em></h1>\
         <p>The same {requests} requests (seed {seed}) went through a router in front of \
         {replicas} twice: first to each in turn, then to the one that would answer first, by what \
         each holds in its KV cache. Chats of several turns, questions about shared documents, and \
         requests that share nothing. Large figures are kv\u{2019}s, the small ones beside them \
         round-robin\u{2019}s.</p></header>\n",
        replicas = setting.replicas
    )
}

fn tiles(before: &Figures, after: &Figures) -> String {
    let seconds = |figures: &Figures| {
        (
            figures.ttft_p50.as_secs_f64(),
            figures.ttft_p95.as_secs_f64(),
        )
    };
    let ((p50_before, p95_before), (p50_after, p95_after)) = (seconds(before), seconds(after));
    let tokens = |figures: &Figures| figures.prefill_tokens as f64;
    let rows = [
        (
            "Cache hit ratio",
            share(before.hit_ratio),
            share(after.hit_ratio),
            table::points(before.hit_ratio, after.hit_ratio),
        ),
        (
            "Time to first token, median",
            time(before.ttft_p50),
            time(after.ttft_p50),
            table::change(p50_before, p50_after),
        ),
        (
            "Time to first token, p95",
            time(before.ttft_p95),
            time(after.ttft_p95),
            table::change(p95_before, p95_after),
        ),
        (
            "Prompt tokens computed",
            number(tokens(before)),
            number(tokens(after)),
            table::change(tokens(before), tokens(after)),
        ),
    ];
    let mut out = String::from("<section class=\"tiles\">\n");
    for (name, was, is, change) in rows {
        _ = writeln!(
            out,
            "<div class=\"tile\"><h2>{name}</h2><p class=\"is\">{is}</p>\
             <p class=\"was\"><span class=\"{}\">{}</span> from {was}</p></div>",
            if table::is_better(&change) {
                "change"
            } else {
                ""
            },
            change.replace('-', "\u{2212}")
        );
    }
    out.push_str("</section>\n");
    out
}

/// All figures as a table: for who reads numbers, or hears the page.
fn table_of(all: &[Figures]) -> String {
    let mut out = String::from(
        "<section class=\"numbers\"><h2>In numbers</h2><table><thead><tr><th>policy</th>\
         <th>requests</th><th>errors</th><th>hit ratio</th><th>prefill tokens</th>\
         <th>TTFT p50</th><th>TTFT p95</th><th>busiest replica</th><th>whole run</th>\
         </tr></thead><tbody>\n",
    );
    for figures in all {
        _ = writeln!(
            out,
            "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
             <td>{:.2} &times; even</td><td>{:.1} s</td></tr>",
            figures.policy,
            figures.requests,
            figures.errors,
            share(figures.hit_ratio),
            number(figures.prefill_tokens as f64),
            time(figures.ttft_p50),
            time(figures.ttft_p95),
            figures.imbalance,
            figures.took.as_secs_f64()
        );
    }
    out.push_str("</tbody></table>\n");
    if let Some(after) = all.last() {
        _ = writeln!(
            out,
            "<p class=\"note\">{}.</p>",
            capital(&table::receipts(after))
        );
    }
    out.push_str("</section>\n");
    out
}

fn ending(setting: &Setting) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let vllm = if setting.simulated {
        "<dt><code>onefill demo --vllm</code></dt><dd>the same on real vLLM replicas on this \
         machine\u{2019}s CPU</dd>"
    } else {
        ""
    };
    let simulated = if setting.simulated {
        "Simulated replicas compute no model: their prefill and decode times follow fixed rates. \
         What they cache, evict and tell of it is what vLLM does. "
    } else {
        ""
    };
    format!(
        "<footer><h2>What to try next</h2><dl>\
         <dt><code>onefill demo --keep</code></dt><dd>leaves router and replicas running: ask them \
         yourself, and read why each answer came from where it came</dd>\
         {vllm}<dt><code>onefill router --replica URL</code></dt><dd>in front of your own \
         replicas</dd></dl><p class=\"note\">{simulated}onefill {version}.</p></footer>\n"
    )
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}
