//! Advice in plain words.

use super::{Advice, Evidence, Level, Tried};
use crate::sim::Outcome;
use std::fmt::Write as _;

/// For a terminal.
#[must_use]
pub fn text(advice: &Advice) -> String {
    let mut text = String::new();
    let evidence = &advice.evidence;
    _ = writeln!(text, "{}", seen(evidence)); // a String takes everything
    _ = writeln!(
        text,
        "\n  {:<32} {:>6} {:>10} {:>9} {:>9} {:>10}",
        "", "hit %", "TTFT mean", "p50", "p90", "computed"
    );
    row(&mut text, "as it was, replayed", &advice.before);
    for tried in &advice.tried {
        row(&mut text, tried.choice.name(), &tried.outcome);
    }
    let verdict = match advice.best.and_then(|at| advice.tried.get(at)) {
        None => nothing(advice),
        Some(best) => something(best, &advice.before),
    };
    _ = writeln!(text, "\n{verdict}");
    let level = match advice.confidence.level {
        Level::High => "high",
        Level::Medium => "medium",
        Level::Low => "low",
    };
    _ = writeln!(text, "\nconfidence: {level}");
    for reason in &advice.confidence.reasons {
        _ = writeln!(text, "  - {reason}");
    }
    text
}

fn seen(evidence: &Evidence) -> String {
    let mut words = format!(
        "{} requests in {:.0} s on {} replica(s), picked by {}; {} prompt tokens",
        evidence.requests,
        evidence.seconds,
        evidence.replicas,
        evidence.policy,
        evidence.prompt_tokens
    );
    let told = if evidence.gpu_tokens_told {
        ""
    } else {
        " (a guess)"
    };
    words.push_str(&format!(
        "\neach replica's cache holds {} tokens{told}, an unlimited one would have {:.1} % of these prompts",
        evidence.gpu_tokens,
        100.0 * evidence.ideal_ratio
    ));
    if let Some(measured) = evidence.measured_ttft_s {
        words.push_str(&format!(
            "\nfirst bytes came after {measured:.3} s on the mean: a replica computes {:.0} tokens a second",
            evidence.prefill_tokens_s
        ));
    }
    words
}

fn row(text: &mut String, what: &str, outcome: &Outcome) {
    let found = outcome.gpu_tokens + outcome.cpu_tokens + outcome.store_tokens;
    let ttft = &outcome.ttft_s;
    _ = writeln!(
        text,
        "  {what:<32} {:>6.1} {:>8.3} s {:>7.3} s {:>7.3} s {:>10}",
        100.0 * outcome.hit_ratio(),
        ttft.mean,
        ttft.p50,
        ttft.p90,
        outcome.prompt_tokens - found
    );
}

fn something(best: &Tried, before: &Outcome) -> String {
    format!(
        "best: {}. It would find {:.1} % of prompt tokens in caches instead of {:.1} %, and first bytes \
         would come after {:.3} s instead of {:.3} s on the mean ({:.0} % less).\nTo do it: {}.",
        best.choice.name(),
        100.0 * best.outcome.hit_ratio(),
        100.0 * before.hit_ratio(),
        best.outcome.ttft_s.mean,
        before.ttft_s.mean,
        100.0 * best.ttft_saved,
        best.how
    )
}

fn nothing(advice: &Advice) -> String {
    let (evidence, before) = (&advice.evidence, &advice.before);
    let why = if evidence.ideal_ratio < 0.05 {
        "these requests share next to nothing, so no cache and no routing finds more"
    } else if evidence.ideal_ratio - before.hit_ratio() < 0.05 {
        "what these requests share is found already"
    } else {
        "what these requests share comes back after more has passed than any tier here would keep"
    };
    let mut words = format!("nothing will help by sharing: {why}.");
    let others = advice.tried.iter().filter(|each| !each.choice.shares());
    for other in others.filter(|other| other.ttft_saved >= 0.05) {
        let (name, saved) = (other.choice.name(), 100.0 * other.ttft_saved);
        words.push_str(&format!(
            "\nWithout sharing anything: {name} would save {saved:.0} % of the waiting."
        ));
    }
    words
}
