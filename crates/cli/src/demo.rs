//! `onefill demo`: the same requests through a router in front of the same replicas, first in
//! turn (round-robin), then by what each replica holds (kv); a table and a report of both.

pub(crate) mod client;
mod dice;
mod drive;
mod figures;
mod progress;
mod report;
mod router;
mod simulated;
mod table;
mod vllm;
mod workload;

use crate::{
    logs::{self, LogFormat},
    stop,
};
use anyhow::Context as _;
use drive::Run;
use figures::Figures;
use onefill_schedule::Policy;
use progress::Progress;
use router::{Door, Fleet};
use std::{io::IsTerminal as _, path::PathBuf, process::ExitCode};
use tokio::runtime;
use workload::{Scale, Workload};

/// Requests of a run, unless told otherwise.
const REQUESTS: usize = 300;
/// On real replicas on CPU, which are slower.
const REQUESTS_VLLM: usize = 120;
/// Side by side: round robin first.
const POLICIES: [Policy; 2] = [Policy::RoundRobin, Policy::Kv];

/// Flags of `onefill demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Requests of each run [default: 300, with --vllm 120]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    requests: Option<u32>,
    /// Requests are the same for one seed
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,
    /// Where the report goes [default: onefill-demo.html in the folder for temporary files]
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Requests that share nothing: what it is like where routing can bring nothing
    #[arg(long)]
    unrelated: bool,
    /// Records each run in a folder of its own below this one, for `onefill advise`
    #[arg(long, value_name = "FOLDER")]
    record: Option<PathBuf>,
    /// One JSON object on standard output instead of the table
    #[arg(long)]
    json: bool,
    /// Leave replicas and router running afterwards, until ctrl-c
    #[arg(long)]
    keep: bool,
    /// Two real vLLM replicas on CPU, installed by `cargo xtask vllm` and named by ONEFILL_VLLM
    #[arg(long)]
    vllm: bool,
}

/// What both runs have in common.
#[derive(Debug)]
pub(crate) struct Setting {
    /// "3 simulated replicas".
    pub(crate) replicas: &'static str,
    pub(crate) simulated: bool,
    pub(crate) seed: u64,
    pub(crate) workload: Workload,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if std::env::var_os("RUST_LOG").is_some() {
        logs::start(LogFormat::Text);
    }
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    let errors = runtime.block_on(show(arguments))?;
    runtime.shutdown_background();
    Ok(if errors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Gives how many requests failed.
async fn show(arguments: &Arguments) -> anyhow::Result<usize> {
    let (scale, fallback) = if arguments.vllm {
        (Scale::CPU, REQUESTS_VLLM)
    } else {
        (Scale::SIMULATED, REQUESTS)
    };
    let requests = arguments.requests.map_or(fallback, |count| count as usize);
    let setting = Setting {
        replicas: if arguments.vllm {
            "2 vLLM replicas on CPU"
        } else {
            "3 simulated replicas"
        },
        simulated: !arguments.vllm,
        seed: arguments.seed,
        workload: match arguments.unrelated {
            true => Workload::unrelated(arguments.seed, requests, &scale),
            false => Workload::new(arguments.seed, requests, &scale),
        },
    };
    let (runs, door, fleet) = both(arguments, &setting).await?;
    let figures: Vec<Figures> = runs.iter().map(Figures::of).collect();
    if arguments.json {
        logs::print(&format!("{}\n", figures::json(&figures)));
    } else {
        let colour = std::io::stdout().is_terminal();
        logs::print(&table::text(&setting, &figures, colour));
    }
    let path = arguments
        .report
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join("onefill-demo.html"));
    std::fs::write(&path, report::page(&setting, &runs, &figures))
        .with_context(|| format!("can't write the report to {}", path.display()))?;
    let path = path.canonicalize().unwrap_or(path);
    tell(
        arguments,
        &table::ending(&path, arguments.vllm, arguments.keep),
    );
    if arguments.keep {
        tell(arguments, &table::addresses(&door, &fleet));
        stop::signal().await;
    }
    door.stop().await;
    Ok(figures.iter().map(|figures| figures.errors).sum())
}

/// Runs the workload under each policy; gives the last run's door and replicas too, still there.
async fn both(arguments: &Arguments, setting: &Setting) -> anyhow::Result<(Vec<Run>, Door, Fleet)> {
    let progress = Progress::new(setting, POLICIES.map(Policy::name));
    let mut vllm = if arguments.vllm {
        progress.note("starting two vLLM replicas: half a minute, or more the first time");
        Some(vllm::start().await?)
    } else {
        None
    };
    let mut runs = Vec::new();
    let mut last = None;
    for policy in POLICIES {
        if let Some((door, _)) = last.take() {
            Door::stop(door).await;
        }
        let fleet = match &mut vllm {
            Some(fleet) => {
                vllm::reset(fleet).await?;
                fleet.share()
            }
            // Fresh ones: nothing of the run before is in their caches.
            None => simulated::start(arguments.seed).await?,
        };
        let folder = arguments
            .record
            .as_ref()
            .map(|folder| folder.join(policy.name()));
        let door = Door::open(policy, &fleet, folder).await?;
        let bar = progress.begin(policy.name());
        let run = drive::run(&setting.workload, policy, &door, &fleet, &bar).await;
        bar.end(&Figures::of(&run));
        runs.push(run);
        last = Some((door, fleet));
    }
    let (door, fleet) = last.context("no policy was run")?;
    Ok((runs, door, vllm.unwrap_or(fleet)))
}

/// Words for a person: beside the table, or on standard error where JSON is asked for.
fn tell(arguments: &Arguments, text: &str) {
    if arguments.json {
        logs::say(format_args!("{text}"));
    } else {
        logs::print(&format!("{text}\n"));
    }
}
