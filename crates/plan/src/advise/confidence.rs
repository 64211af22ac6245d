//! How sure an advice is: whether replaying reproduces what was reported, and whether both halves
//! of the record say the same.

use super::{Evidence, Question, Tried, WORTH_HITS, as_it_was, replay};
use crate::{
    sim::{Config, simulate},
    trace::Trace,
};

/// How sure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub enum Level {
    /// Act on it.
    High,
    /// Likely; more of a record would tell.
    Medium,
    /// A hint.
    Low,
}

/// How sure, and why.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Confidence {
    /// How sure.
    pub level: Level,
    /// Reasons, each a sentence.
    pub reasons: Vec<String>,
}

/// Fewer requests say little.
const REQUESTS_MIN: usize = 200;
/// Replayed and reported hit ratios are equal within this.
const HITS_APART: f64 = 0.05;
/// Both halves gain alike within this factor.
const HALVES_APART: f64 = 3.0;

pub(super) fn judge(
    question: &Question<'_>,
    config: &Config,
    evidence: &Evidence,
    best: Option<&Tried>,
) -> Confidence {
    let mut doubts = 0;
    let mut reasons = Vec::new();
    let mut weigh = |doubt: usize, reason: String| {
        doubts += doubt;
        reasons.push(reason);
    };
    let requests = evidence.requests;
    if requests < REQUESTS_MIN {
        weigh(2, format!("{requests} requests are few"));
    }
    if !evidence.gpu_tokens_told {
        let tokens = evidence.gpu_tokens;
        weigh(
            1,
            format!(
                "how much a replica's cache holds was not told: {tokens} tokens are a guess (--gpu-tokens)"
            ),
        );
    }
    match evidence.reported_ratio {
        Some(reported) => {
            let replayed = as_it_was(question.asked, config).hit_ratio();
            let apart = (replayed - reported).abs();
            let words = format!(
                "replicas reported {:.1} % of prompt tokens as cached, the replay finds {:.1} %",
                100.0 * reported,
                100.0 * replayed
            );
            weigh(usize::from(apart > HITS_APART), words);
        }
        None => weigh(1, "replicas did not report what they had cached".to_owned()),
    }
    if let Some(best) = best {
        let [early, late] = halves(question, config, evidence, best);
        let alike =
            early.min(late) > WORTH_HITS / 2.0 && early.max(late) < HALVES_APART * early.min(late);
        let words = format!(
            "it finds {:.1} points more of prompt tokens in the first half of the requests, {:.1} in the second",
            100.0 * early,
            100.0 * late
        );
        weigh(usize::from(!alike), words);
    }
    let level = match doubts {
        0 => Level::High,
        1 => Level::Medium,
        _ => Level::Low,
    };
    Confidence { level, reasons }
}

/// Hits gained in the first half of the requests and in the second, which finds warm caches.
fn halves(question: &Question<'_>, config: &Config, evidence: &Evidence, best: &Tried) -> [f64; 2] {
    let trace = question.asked.trace();
    let half = Trace {
        requests: trace.requests[..trace.requests.len() / 2].to_vec(),
        ..trace.clone()
    };
    let warm = Config {
        warm_up: 0.5,
        ..*config
    };
    let gain = |trace: &Trace, config: &Config| {
        let mut route = replay::route(question.asked, config);
        let before = simulate(trace, config, "as it was", route.as_mut(), &mut |_| {});
        let after = best.choice.run(trace, config, &evidence.policy);
        after.hit_ratio() - before.hit_ratio()
    };
    [gain(&half, config), gain(trace, &warm)]
}
