//! `onefill simulate`: policies side by side on a trace, on simulated time.

use crate::{
    EXIT_USAGE, logs,
    trace::{TraceFlags, unknown},
};
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use onefill_evict::Choice;
use onefill_plan::{
    policy,
    report::{self, Section},
    sim::{Config, Engine, Outcome, Rates, Shape, simulate},
    trace::Trace,
};
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// Flags of `onefill simulate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A trace file (gzip or not), or a generator: chat, rag, agent, batch, unrelated, small-fleet
    trace: String,
    #[command(flatten)]
    source: TraceFlags,
    /// Replicas
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    replicas: u16,
    /// Tokens of each replica's own cache
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    gpu_tokens: u64,
    /// Tokens of each replica's host memory tier
    #[arg(long, value_name = "N", default_value_t = 0)]
    cpu_tokens: u64,
    /// Tokens of the store that all replicas share
    #[arg(long, value_name = "N", default_value_t = 0)]
    store_tokens: u64,
    /// Policies, or all
    #[arg(
        long,
        value_name = "NAME,...",
        value_delimiter = ',',
        default_value = "all"
    )]
    policy: Vec<String>,
    /// Which blocks leave a full store: lru, density, s3-fifo
    #[arg(long, value_name = "NAME", default_value = "lru")]
    eviction: String,
    /// queue (one prefill after another) or batching (steps, as an engine's)
    #[arg(long, value_name = "NAME", default_value = "batching")]
    engine: String,
    /// Tokens that one replica prefills in a second
    #[arg(long, value_name = "N", default_value_t = 5500.0)]
    prefill_tokens_s: f64,
    /// Milliseconds that every step takes besides
    #[arg(long, value_name = "MS", default_value_t = 8.0)]
    step_ms: f64,
    /// Tokens a second from the store to one replica
    #[arg(long, value_name = "N", default_value_t = 39_000.0)]
    store_tokens_s: f64,
    /// Milliseconds until the index hears of a change
    #[arg(long, value_name = "MS", default_value_t = 5.0)]
    event_delay_ms: f64,
    /// Share of the requests that only warms the caches, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    warm_up: f64,
    /// JSON on standard output
    #[arg(long)]
    json: bool,
    /// Writes a report with charts
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (policies, config) = match understood(arguments) {
        Ok(understood) => understood,
        Err(faults) => {
            for fault in faults {
                logs::say(format_args!("onefill: {fault}"));
            }
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    let trace = arguments.source.open(&arguments.trace)?;
    let shapes = topologies(config.shape);
    let bar = progress(trace.requests.len() * policies.len() * shapes.len());
    let mut sections = Vec::new();
    for (title, shape) in shapes {
        let config = Config { shape, ..config };
        let one =
            |name: &policy::Name| run_one(&trace, &config, *name, arguments.source.seed, &bar);
        sections.push(Section {
            title,
            outcomes: policies.iter().map(one).collect(),
        });
    }
    bar.finish_and_clear();
    print(arguments, &trace, &sections)?;
    Ok(ExitCode::SUCCESS)
}

/// The policies and the configuration, or every fault at once.
fn understood(arguments: &Arguments) -> Result<(Vec<policy::Name>, Config), Vec<String>> {
    let mut faults = Vec::new();
    let mut policies = Vec::new();
    for name in &arguments.policy {
        match policy::Name::find(name) {
            Some(found) => policies.push(found),
            None if name == "all" => policies.extend(policy::Name::ALL),
            None => faults.push(unknown(
                "policy",
                name,
                policy::Name::ALL.map(policy::Name::name),
            )),
        }
    }
    let eviction = Choice::ALL
        .into_iter()
        .find(|each| each.name() == arguments.eviction);
    if eviction.is_none() {
        let names = Choice::ALL.map(Choice::name);
        faults.push(unknown("eviction", &arguments.eviction, names));
    }
    let engine = match arguments.engine.as_str() {
        "queue" => Engine::Queue,
        "batching" => Engine::Batching,
        other => {
            faults.push(unknown("engine", other, ["queue", "batching"]));
            Engine::Queue
        }
    };
    if arguments.prefill_tokens_s <= 0.0 || arguments.store_tokens_s <= 0.0 {
        faults.push("rates must be above zero".to_owned());
    }
    if !(0.0..1.0).contains(&arguments.warm_up) {
        faults.push("--warm-up must be from 0 to 1".to_owned());
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let eviction = eviction.unwrap_or_default();
    let config = Config {
        shape: Shape {
            replicas: usize::from(arguments.replicas),
            gpu_tokens: arguments.gpu_tokens,
            cpu_tokens: arguments.cpu_tokens,
            store_tokens: arguments.store_tokens,
        },
        rates: Rates {
            prefill_tokens_s: arguments.prefill_tokens_s,
            step_s: arguments.step_ms.max(0.0) / 1e3,
            store_tokens_s: arguments.store_tokens_s,
            ..Rates::default()
        },
        engine,
        eviction,
        event_delay: Duration::from_secs_f64(arguments.event_delay_ms.max(0.0) / 1e3),
        warm_up: arguments.warm_up,
    };
    Ok((policies, config))
}

/// With fewer tiers first: what each tier adds can be seen.
fn topologies(shape: Shape) -> Vec<(String, Shape)> {
    let (cpu, store) = (shape.cpu_tokens, shape.store_tokens);
    let mut all = Vec::new();
    for (with_cpu, with_store) in [(false, false), (true, false), (false, true), (true, true)] {
        if (with_cpu && cpu == 0) || (with_store && store == 0) {
            continue;
        }
        let shape = Shape {
            cpu_tokens: if with_cpu { cpu } else { 0 },
            store_tokens: if with_store { store } else { 0 },
            ..shape
        };
        let mut title = format!("{} replicas of {} tokens", shape.replicas, shape.gpu_tokens);
        if with_cpu {
            title.push_str(&format!(", {cpu} in host memory"));
        }
        if with_store {
            title.push_str(&format!(", a store of {store}"));
        }
        all.push((title, shape));
    }
    all
}

fn run_one(
    trace: &Trace,
    config: &Config,
    name: policy::Name,
    seed: u64,
    bar: &ProgressBar,
) -> Outcome {
    bar.set_message(name.name());
    let before = bar.position();
    let mut route = name.build(&config.shape, trace.block_tokens, seed);
    let mut progress = |come: u32| bar.set_position(before + u64::from(come));
    simulate(trace, config, name.name(), route.as_mut(), &mut progress)
}

fn progress(requests: usize) -> ProgressBar {
    let target = ProgressDrawTarget::stderr(); // draws nothing where that is no terminal
    let bar = ProgressBar::with_draw_target(Some(requests as u64), target);
    match ProgressStyle::with_template("{msg:14} {wide_bar} {pos}/{len} requests, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn print(arguments: &Arguments, trace: &Trace, sections: &[Section]) -> anyhow::Result<()> {
    let words = format!(
        "{}: {} requests, {} prompt tokens in blocks of {}",
        trace.name,
        trace.requests.len(),
        trace.prompt_tokens(),
        trace.block_tokens
    );
    if arguments.json {
        logs::print(&format!("{}\n", serde_json::to_string_pretty(sections)?));
    } else {
        logs::print(&format!("{words}\n{}", report::table(sections)));
    }
    if let Some(path) = &arguments.html {
        let page = report::html("onefill simulate", &words, sections);
        std::fs::write(path, page).with_context(|| format!("writing {}", path.display()))?;
        logs::say(format_args!("report: {}", path.display()));
    }
    Ok(())
}
