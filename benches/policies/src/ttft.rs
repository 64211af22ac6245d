//! Line 3: time to the first token, with a store.

use crate::{routing::names, traces};
use onefill_plan::{
    policy::Name,
    sim::{Config, Outcome, Rates, Shape, simulate},
    trace::Trace,
};
use onefill_schedule::Policy;

pub fn run() -> Vec<String> {
    let mut missed = Vec::new();
    if let Some(trace) = traces::load("conversation", 1) {
        let plain = config(8, 0, 5500.0);
        println!("conversation, 8 x 1 M, 5,500 tokens/s, no store (queue model)");
        let base = all(&trace, &plain);
        println!("conversation, 8 x 1 M + 50 M store");
        let stored = all(&trace, &config(8, 50_000_000, 5500.0));
        let round_robin = find(&base, Policy::RoundRobin).map_or(0.0, |each| each.ttft_s.mean);
        if let Some(kv) = find(&stored, Policy::Kv) {
            let better = round_robin / kv.ttft_s.mean;
            println!("  kv is {better:.2} times as fast as round robin without a store");
            if round_robin > 0.0 && better < 7.4 {
                missed.push(format!(
                    "conversation: {better:.2} times round robin, not 7.4"
                ));
            }
        }
        missed.extend(beaten("conversation", &stored));
    }
    if let Some(trace) = traces::load("agent", 1) {
        println!("agent, 16 x 1 M + 100 M store, 12,000 tokens/s (queue model)");
        let stored = all(&trace, &config(16, 100_000_000, 12_000.0));
        if let Some(kv) = find(&stored, Policy::Kv) {
            if kv.ttft_s.mean > 0.675 {
                missed.push(format!(
                    "agent: mean TTFT {:.3} s, not 0.675",
                    kv.ttft_s.mean
                ));
            }
            if kv.store_ratio() > 0.082 {
                let share = 100.0 * kv.store_ratio();
                missed.push(format!("agent: {share:.1} % from the store, not 8.2"));
            }
        }
        missed.extend(beaten("agent", &stored));
    }
    missed
}

fn config(replicas: usize, store_tokens: u64, prefill_tokens_s: f64) -> Config {
    Config {
        shape: Shape {
            replicas,
            store_tokens,
            ..Shape::default()
        },
        rates: Rates {
            prefill_tokens_s,
            ..Rates::default()
        },
        ..Config::default()
    }
}

fn all(trace: &Trace, config: &Config) -> Vec<Outcome> {
    let one = |name: Name| {
        let mut route = name.build(&config.shape, trace.block_tokens, 1);
        let outcome = simulate(trace, config, name.name(), route.as_mut(), &mut |_| {});
        show(&outcome);
        outcome
    };
    names().map(one).collect()
}

pub fn show(each: &Outcome) {
    let ttft = &each.ttft_s;
    println!(
        "  {:<14} gpu {:>5.2} % store {:>5.2} % imbalance {:>5.2} TTFT mean {:>9.3} p50 {:>8.3} p90 {:>9.3} p95 {:>9.3}",
        each.policy,
        100.0 * each.gpu_ratio(),
        100.0 * each.store_ratio(),
        each.imbalance,
        ttft.mean,
        ttft.p50,
        ttft.p90,
        ttft.p95
    );
}

fn find(outcomes: &[Outcome], policy: Policy) -> Option<&Outcome> {
    outcomes.iter().find(|each| each.policy == policy.name())
}

/// Sentences, one for each figure in which another policy is better.
fn beaten(trace: &str, outcomes: &[Outcome]) -> Vec<String> {
    let Some(kv) = find(outcomes, Policy::Kv) else {
        return Vec::new();
    };
    let mut sentences = Vec::new();
    for peer in outcomes.iter().filter(|each| each.policy != kv.policy) {
        let (ours, theirs) = (&kv.ttft_s, &peer.ttft_s);
        for (what, ours, theirs) in [
            ("mean", ours.mean, theirs.mean),
            ("p50", ours.p50, theirs.p50),
            ("p90", ours.p90, theirs.p90),
        ] {
            if theirs < ours {
                let policy = &peer.policy;
                sentences.push(format!(
                    "{trace}: {what} {ours:.3} s, {policy}'s is {theirs:.3} s"
                ));
            }
        }
    }
    sentences
}
