//! What a workload needs: its trace through one cache for the size, then through the fleet.

use super::{
    Ask, Fault, Machine, Plan, curve,
    plan::{STORE_BYTES_MIN, whole_gib},
};
use crate::{
    policy,
    sim::{Config, Engine, Outcome, Rates, Shape, simulate},
    trace::Trace,
};
use onefill_evict::Choice;
use onefill_schedule::Policy;
use std::time::Duration;

/// Share of a wanted hit ratio of an unlimited cache, where none was asked for: the last twentieth
/// costs as much as all before.
const WANTED_SHARE: f64 = 0.95;
/// An engine's step besides its tokens, where nothing was measured.
const STEP_S: f64 = 0.008;

/// A hit ratio by size.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize)]
pub struct Rate {
    /// Tokens of one cache.
    pub tokens: u64,
    /// Its bytes.
    pub bytes: f64,
    /// Share of prompt tokens that it has.
    pub hit_ratio: f64,
}

/// What a workload needs.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Need {
    /// Share of prompt tokens that an unlimited cache has.
    pub ideal_ratio: f64,
    /// Share wanted.
    pub wanted_ratio: f64,
    /// Tokens that one cache needs for it.
    pub tokens: u64,
    /// Their bytes.
    pub bytes: f64,
    /// Hit ratios by size.
    pub curve: Vec<Rate>,
    /// Host memory of each replica that would do without a store, in bytes.
    pub cpu_alone_bytes: f64,
    /// The fleet of the plan as simulated, with routing by content.
    pub planned: Outcome,
    /// The same fleet in turn, without tiers.
    pub before: Outcome,
    /// Bytes a second between stores and replicas, reads and writes, on the mean.
    pub store_bytes_s: f64,
    /// Accelerators that computing what is now loaded would keep busy.
    pub gpus_saved: f64,
}

pub(super) fn need(
    ask: &Ask<'_>,
    plan: &mut Plan,
    machine: &Machine<'_>,
    trace: &Trace,
    progress: &mut dyn FnMut(&str),
) -> Result<Need, Fault> {
    progress("what an unlimited cache hits");
    let ideal_ratio = curve::ideal_ratio(trace);
    let wanted_ratio = ask.wanted.unwrap_or(WANTED_SHARE * ideal_ratio);
    progress("the size for the wanted hit ratio");
    let out_of_reach = Fault::OutOfReach {
        ideal: ideal_ratio,
        wanted: wanted_ratio,
    };
    let tokens = curve::size_for(trace, wanted_ratio, Choice::Lru).ok_or(out_of_reach)?;
    let bytes = tokens as f64 * plan.token_bytes as f64;
    let replicas = f64::from(plan.replicas);
    let on_gpus = replicas * plan.gpu_tokens as f64;
    // Tiers keep what passes them, so each must hold it all: none has only what others lack.
    let cpu_alone_bytes = if tokens as f64 <= on_gpus {
        0.0
    } else {
        bytes / replicas
    };
    if cpu_alone_bytes == 0.0 {
        plan.cpu_bytes = 0.0;
    } else if cpu_alone_bytes > plan.cpu_bytes && plan.least_tokens.is_some() {
        plan.store_bytes = bytes.max(STORE_BYTES_MIN);
    } else {
        plan.cpu_bytes = plan.cpu_bytes.min(whole_gib(cpu_alone_bytes));
    }
    progress("the fleet in turn, without tiers");
    let before = run(ask, plan, machine, trace, Policy::RoundRobin);
    progress("the fleet as planned");
    let planned = run(ask, plan, machine, trace, Policy::Kv);
    let moved = (planned.store_tokens + planned.store_written_tokens) as f64;
    let spared = before_s(&before, machine, trace) - before_s(&planned, machine, trace);
    Ok(Need {
        ideal_ratio,
        wanted_ratio,
        tokens,
        bytes,
        curve: steps(trace, tokens, plan.token_bytes, progress),
        cpu_alone_bytes,
        store_bytes_s: moved * plan.token_bytes as f64 / planned.seconds.max(1e-9),
        gpus_saved: f64::from(plan.gpus) * spared.max(0.0) / planned.seconds.max(1e-9),
        planned,
        before,
    })
}

/// Seconds that computing took, all replicas together.
fn before_s(outcome: &Outcome, machine: &Machine<'_>, trace: &Trace) -> f64 {
    let found = outcome.gpu_tokens + outcome.cpu_tokens + outcome.store_tokens;
    let computed = outcome.prompt_tokens - found;
    computed as f64 / machine.recompute_tokens_s(mean_tokens(trace))
}

fn mean_tokens(trace: &Trace) -> u64 {
    (trace.prompt_tokens() / trace.requests.len().max(1) as u64).max(1)
}

/// The curve at powers of two around the size that is wanted.
fn steps(
    trace: &Trace,
    tokens: u64,
    token_bytes: u64,
    progress: &mut dyn FnMut(&str),
) -> Vec<Rate> {
    let rate = |share: u64| {
        progress("hit ratio by size");
        let tokens = (tokens / 4 * share).max(u64::from(trace.block_tokens));
        Rate {
            tokens,
            bytes: tokens as f64 * token_bytes as f64,
            hit_ratio: curve::hit_ratio(trace, trace.blocks_of(tokens), Choice::Lru, 0.0),
        }
    };
    [1, 2, 4, 8].map(rate).to_vec()
}

fn run(
    ask: &Ask<'_>,
    plan: &Plan,
    machine: &Machine<'_>,
    trace: &Trace,
    policy: Policy,
) -> Outcome {
    let site = &ask.site;
    let in_tokens = |bytes: f64| (bytes / plan.token_bytes as f64) as u64;
    let with_tiers = policy == Policy::Kv;
    let shape = Shape {
        replicas: site.replicas as usize,
        gpu_tokens: plan.gpu_tokens,
        cpu_tokens: if with_tiers {
            in_tokens(plan.cpu_bytes)
        } else {
            0
        },
        store_tokens: if with_tiers {
            in_tokens(plan.store_bytes)
        } else {
            0
        },
    };
    let formula = machine.recompute_tokens_s(mean_tokens(trace));
    let per_token = |bytes_s: f64| bytes_s / plan.token_bytes as f64;
    let config = Config {
        shape,
        rates: Rates {
            prefill_tokens_s: site.prefill_tokens_s.unwrap_or(formula),
            step_s: STEP_S,
            cpu_tokens_s: per_token(f64::from(site.gpus) * site.gpu.host_gb_s * 1e9),
            store_tokens_s: per_token(site.network_bytes_s),
            store_latency_s: site.first_byte_s,
            ..Rates::default()
        },
        engine: Engine::Batching,
        event_delay: Duration::from_millis(5),
        ..Config::default()
    };
    let name = policy::Name::Ours(policy);
    let mut route = name.build(&config.shape, trace.block_tokens, 1);
    simulate(trace, &config, name.name(), route.as_mut(), &mut |_| {})
}
