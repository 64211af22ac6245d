//! Line 2: N isolated caches behind a router hit nearly what one cache of their size would.

use crate::traces;
use onefill_evict::Choice;
use onefill_plan::{
    policy::Name,
    sim::{Config, Outcome, Rates, Shape, simulate},
    sizing::hit_ratio,
    trace::Trace,
};
use onefill_schedule::Policy;

const REPLICAS: usize = 16;
const IMBALANCE_MAX: f64 = 1.10;

struct Setup {
    trace: &'static str,
    /// Totals in millions of tokens.
    totals: &'static [u64],
    /// Fast enough that queues are short: what is asked is where prefixes lie, not how long they
    /// wait. At the rates of the TTFT goals less is hit, see [`loaded`].
    prefill_tokens_s: f64,
    /// The rate of the TTFT goals.
    loaded_tokens_s: f64,
}

const SETUPS: [Setup; 3] = [
    Setup {
        trace: "conversation",
        totals: &[1, 5, 10, 20, 50],
        prefill_tokens_s: 20_000.0,
        loaded_tokens_s: 5500.0,
    },
    Setup {
        trace: "synthetic",
        totals: &[2, 10, 20],
        prefill_tokens_s: 20_000.0,
        loaded_tokens_s: 5500.0,
    },
    Setup {
        trace: "agent",
        totals: &[5, 10, 20, 50, 100],
        prefill_tokens_s: 40_000.0,
        loaded_tokens_s: 12_000.0,
    },
];

pub fn run() -> Vec<String> {
    each_size(|setup| setup.prefill_tokens_s)
}

/// The same at the rates of the TTFT goals, where queues are long: a table without goals.
pub fn loaded() -> Vec<String> {
    each_size(|setup| setup.loaded_tokens_s);
    Vec::new()
}

fn each_size(rate: fn(&Setup) -> f64) -> Vec<String> {
    let mut missed = Vec::new();
    for setup in SETUPS {
        let Some(trace) = traces::load(setup.trace, 1) else {
            continue;
        };
        let rate = rate(&setup);
        let name = setup.trace;
        println!("{name}, {REPLICAS} replicas, {rate} tokens/s, no store: hit % (imbalance)");
        for total in setup.totals {
            missed.extend(one_size(&trace, name, rate, total * 1_000_000));
        }
    }
    missed
}

fn one_size(trace: &Trace, name: &str, prefill_tokens_s: f64, total: u64) -> Vec<String> {
    let config = Config {
        shape: Shape {
            replicas: REPLICAS,
            gpu_tokens: total / REPLICAS as u64,
            ..Shape::default()
        },
        rates: Rates {
            prefill_tokens_s,
            ..Rates::default()
        },
        ..Config::default()
    };
    let global = hit_ratio(trace, trace.blocks_of(total), Choice::Lru, 0.0);
    print!(
        "  {:>4} M  one cache {:.2}",
        total / 1_000_000,
        100.0 * global
    );
    let outcomes: Vec<Outcome> = names().map(|name| outcome(trace, &config, name)).collect();
    println!();
    goals(name, total, global, &outcomes)
}

/// `$ONEFILL_POLICIES`, or all that know something of content.
pub fn names() -> impl Iterator<Item = Name> {
    let only = std::env::var("ONEFILL_POLICIES").unwrap_or_default();
    let only: Vec<String> = only.split(',').map(str::to_owned).collect();
    let all = only.iter().all(String::is_empty);
    let named = move |name: &Name| all || only.iter().any(|only| only == name.name());
    Name::ALL.into_iter().filter(named)
}

pub fn outcome(trace: &Trace, config: &Config, name: Name) -> Outcome {
    let mut route = name.build(&config.shape, trace.block_tokens, 1);
    let outcome = simulate(trace, config, name.name(), route.as_mut(), &mut |_| {});
    print!(
        "  {} {:.2} ({:.2})",
        name.name(),
        100.0 * outcome.hit_ratio(),
        outcome.imbalance
    );
    use std::io::Write as _;
    let _ = std::io::stdout().flush();
    outcome
}

fn goals(trace: &str, total: u64, global: f64, outcomes: &[Outcome]) -> Vec<String> {
    let kv = Name::Ours(Policy::Kv).name();
    let Some(ours) = outcomes.iter().find(|each| each.policy == kv) else {
        return Vec::new();
    };
    let mut missed = Vec::new();
    let at = format!("{trace} at {} M tokens", total / 1_000_000);
    let share = if total >= 10_000_000 { 0.97 } else { 0.94 };
    if ours.hit_ratio() < share * global {
        let reached = ours.hit_ratio() / global * 100.0;
        missed.push(format!("{at}: {reached:.1} % of one cache's hits"));
    }
    if ours.imbalance > IMBALANCE_MAX {
        missed.push(format!("{at}: imbalance {:.2}", ours.imbalance));
    }
    for peer in outcomes {
        let even = peer.imbalance <= ours.imbalance;
        if even && peer.hit_ratio() > ours.hit_ratio() + 0.005 {
            missed.push(format!("{at}: {} hits more and is as even", peer.policy));
        }
    }
    missed
}
