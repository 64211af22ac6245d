//! Two small replicas, as measured on real vLLM: chats, shared documents, four requests at once.

use crate::routing::names;
use onefill_plan::{
    generate::{Kind, Volume, generate},
    policy::Name,
    sim::{Config, Engine, Outcome, Rates, Shape, simulate},
};
use onefill_schedule::Policy;
use std::time::Duration;

const SEEDS: u64 = 20;

pub fn run() -> Vec<String> {
    println!("small fleet, 2 x 12,800 tokens, {SEEDS} seeds: means over seeds");
    let ceiling = mean(Name::Ours(Policy::RoundRobin), 1, 100_000_000);
    println!("  {:<14} hit {:.4}", "unlimited", ceiling[0]);
    let one = mean(Name::Ours(Policy::RoundRobin), 1, 25_600);
    println!("  {:<14} hit {:.4}", "one of both", one[0]);
    let mut missed = Vec::new();
    for name in names() {
        let [hit, imbalance, worst, mean_s, p95_s] = mean(name, 2, 12_800);
        let share = 100.0 * hit / ceiling[0];
        println!(
            "  {:<14} hit {hit:.4} ({share:.1} % of unlimited) imbalance {imbalance:.3} (worst {worst:.3}) TTFT mean {mean_s:.3} p95 {p95_s:.3}",
            name.name()
        );
        if name == Name::Ours(Policy::Kv) {
            // One cache of both replicas' size is the most that routing can reach; the unlimited
            // one is out of reach for any cache of this size that evicts by age.
            if hit < 0.99 * one[0] {
                missed.push(format!(
                    "small fleet: {hit:.4}, one cache of both {:.4}",
                    one[0]
                ));
            }
            if worst > 1.25 {
                missed.push(format!("small fleet: imbalance {worst:.2} in one seed"));
            }
        }
    }
    missed
}

/// Hit ratio, imbalance, worst imbalance, mean and 95th percentile of TTFT.
fn mean(name: Name, replicas: usize, gpu_tokens: u64) -> [f64; 5] {
    let all: Vec<Outcome> = (0..SEEDS)
        .map(|seed| one(name, replicas, gpu_tokens, seed))
        .collect();
    let mean = |of: &dyn Fn(&Outcome) -> f64| all.iter().map(of).sum::<f64>() / SEEDS as f64;
    [
        mean(&|each| each.hit_ratio()),
        mean(&|each| each.imbalance),
        all.iter().map(|each| each.imbalance).fold(0.0, f64::max),
        mean(&|each| each.ttft_s.mean),
        mean(&|each| each.ttft_s.p95),
    ]
}

fn one(name: Name, replicas: usize, gpu_tokens: u64, seed: u64) -> Outcome {
    let volume = Volume {
        seed,
        ..Volume::default()
    };
    let trace = generate(Kind::SmallFleet, &volume);
    let config = Config {
        shape: Shape {
            replicas,
            gpu_tokens,
            ..Shape::default()
        },
        rates: Rates {
            prefill_tokens_s: 10_000.0,
            step_s: 0.02,
            ..Rates::default()
        },
        engine: Engine::Batching,
        event_delay: Duration::from_millis(5),
        ..Config::default()
    };
    let mut route = name.build(&config.shape, trace.block_tokens, seed);
    simulate(&trace, &config, name.name(), route.as_mut(), &mut |_| {})
}
