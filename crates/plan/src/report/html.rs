//! A report that opens offline: one file, charts drawn as SVG.

use super::Section;
use crate::sim::Outcome;
use std::fmt::Write as _;

const BAR_HEIGHT: f64 = 18.0;
const ROW_HEIGHT: f64 = 26.0;
const LABEL_WIDTH: f64 = 130.0;
const CHART_WIDTH: f64 = 640.0;
const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;\
padding:0 1em;color:#222}h1{font-size:1.5em}h2{font-size:1.2em;margin-top:2em}\
svg{display:block;margin:.5em 0 1.5em}text{font:13px system-ui,sans-serif;fill:#222}\
table{border-collapse:collapse}td,th{padding:.2em .7em;text-align:right;border-bottom:1px solid #ddd}\
td:first-child,th:first-child{text-align:left}\
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}text{fill:#ddd}\
td,th{border-color:#444}}";

/// One part of a bar: its share of the whole, its colour.
type Part = (f64, &'static str);

/// The report.
#[must_use]
pub fn html(title: &str, words: &str, sections: &[Section]) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{0}</title>\
         <style>{STYLE}</style><h1>{0}</h1><p>{1}</p>",
        escape(title),
        escape(words)
    );
    for section in sections {
        _ = write!(page, "<h2>{}</h2>", escape(&section.title)); // a String takes everything
        page.push_str("<p>Prompt tokens by where they came from: replica cache (dark), host memory, store (light), computed (none)</p>");
        page.push_str(&bars(&section.outcomes, hits, |each| {
            format!("{:.1} %", 100.0 * each.hit_ratio())
        }));
        let ttft = |each: &Outcome| each.ttft_s.mean.max(1e-6).log10();
        let (low, high) = range(section.outcomes.iter().map(ttft));
        page.push_str("<p>Time to the first token, mean (logarithmic)</p>");
        let part = |each: &Outcome| {
            let share = (ttft(each) - low) / (high - low).max(1e-9);
            vec![(0.1 + 0.9 * share, "#c2410c")]
        };
        page.push_str(&bars(&section.outcomes, part, |each| {
            format!("{:.3} s", each.ttft_s.mean)
        }));
        page.push_str("<p>Work of the busiest replica over the mean</p>");
        let most = section.outcomes.iter().map(|each| each.imbalance);
        let most = most.fold(1.0, f64::max);
        let part = |each: &Outcome| vec![(each.imbalance / most, "#6d28d9")];
        page.push_str(&bars(&section.outcomes, part, |each| {
            format!("{:.2}", each.imbalance)
        }));
        page.push_str(&rows(&section.outcomes));
    }
    page.push_str("</html>\n");
    page
}

fn hits(each: &Outcome) -> Vec<Part> {
    vec![
        (each.gpu_ratio(), "#0f766e"),
        (each.cpu_ratio(), "#2dd4bf"),
        (each.store_ratio(), "#99f6e4"),
    ]
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let start = (f64::INFINITY, f64::NEG_INFINITY);
    values.fold(start, |(low, high), value| {
        (low.min(value), high.max(value))
    })
}

fn bars(
    outcomes: &[Outcome],
    parts: impl Fn(&Outcome) -> Vec<Part>,
    label: impl Fn(&Outcome) -> String,
) -> String {
    let height = ROW_HEIGHT * outcomes.len() as f64;
    let width = LABEL_WIDTH + CHART_WIDTH + 90.0;
    let mut svg = format!("<svg width=\"{width}\" height=\"{height}\" role=\"img\">");
    for (row, each) in outcomes.iter().enumerate() {
        let top = ROW_HEIGHT * row as f64;
        let base = top + BAR_HEIGHT - 4.0;
        _ = write!(
            svg,
            "<text x=\"0\" y=\"{base}\">{}</text>",
            escape(&each.policy)
        );
        let mut left = LABEL_WIDTH;
        for (share, colour) in parts(each) {
            let long = (share * CHART_WIDTH).max(0.0);
            _ = write!(
                svg,
                "<rect x=\"{left:.1}\" y=\"{top}\" width=\"{long:.1}\" height=\"{BAR_HEIGHT}\" fill=\"{colour}\"/>"
            );
            left += long;
        }
        let x = left + 6.0;
        _ = write!(
            svg,
            "<text x=\"{x:.1}\" y=\"{base}\">{}</text>",
            label(each)
        );
    }
    svg.push_str("</svg>");
    svg
}

fn rows(outcomes: &[Outcome]) -> String {
    let mut table = String::from(
        "<table><tr><th>policy<th>hit %<th>TTFT mean s<th>p50<th>p90<th>p99<th>latency s<th>imbalance<th>req/s",
    );
    for each in outcomes {
        let ttft = &each.ttft_s;
        _ = write!(
            table,
            "<tr><td>{}<td>{:.2}<td>{:.3}<td>{:.3}<td>{:.3}<td>{:.3}<td>{:.3}<td>{:.2}<td>{:.2}",
            escape(&each.policy),
            100.0 * each.hit_ratio(),
            ttft.mean,
            ttft.p50,
            ttft.p90,
            ttft.p99,
            each.latency_s.mean,
            each.imbalance,
            each.requests_s(),
        );
    }
    table.push_str("</table>");
    table
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
