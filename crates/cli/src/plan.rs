//! `onefill plan`: how big, and whether it pays.

use crate::{
    EXIT_USAGE, logs,
    trace::{TraceFlags, unknown},
};
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget};
use onefill_kv::geometry::CacheDtype;
use onefill_plan::sizing::{self, Ask, GPUS, Gpu, Model, Prices, Site, plan};
use std::{path::Path, process::ExitCode, time::Duration};

/// Flags of `onefill plan`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A known model (meta-llama/Llama-3.1-8B-Instruct), or the path of its config.json
    model: String,
    /// Accelerators of a replica: a100, h100, h200, b200, l40s, l4, mi300x, ...
    #[arg(long, value_name = "NAME", default_value = "h100")]
    gpu: String,
    /// How many of them a replica has
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    gpus: u32,
    /// Replicas
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1000))]
    replicas: u32,
    /// vLLM's --kv-cache-dtype: auto, fp8, `fp8_ds_mla`, ...
    #[arg(long, value_name = "NAME", default_value = "auto")]
    kv_cache_dtype: String,
    /// Tokens a block
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=4096))]
    block_tokens: u32,
    /// Bits of one weight
    #[arg(long, value_name = "N", default_value_t = 16.0)]
    weight_bits: f64,
    /// vLLM's --gpu-memory-utilization
    #[arg(long, value_name = "SHARE", default_value_t = 0.9)]
    gpu_memory_share: f64,
    /// Tokens that one replica was measured to prefill in a second [default: by formula]
    #[arg(long, value_name = "N")]
    prefill_tokens_s: Option<f64>,
    /// Network of each replica and store, in Gb/s
    #[arg(long, value_name = "GB/S", default_value_t = 100.0)]
    network_gbit: f64,
    /// Milliseconds before a load's first byte
    #[arg(long, value_name = "MS", default_value_t = 5.0)]
    first_byte_ms: f64,
    /// Host memory for blocks that a replica may have, in GiB [default: 4 an accelerator]
    #[arg(long, value_name = "GIB")]
    host_memory: Option<f64>,
    /// Memory of one store, in GiB
    #[arg(long, value_name = "GIB", default_value_t = 512.0)]
    node_memory: f64,
    /// What is asked: a trace file, or chat, rag, agent, batch, unrelated (see `simulate`)
    #[arg(long, value_name = "TRACE")]
    workload: Option<String>,
    /// Hit ratio wanted of it, 0 to 1 [default: 95 % of an unlimited cache's]
    #[arg(long, value_name = "SHARE", requires = "workload")]
    hit: Option<f64>,
    /// Price of an accelerator's hour
    #[arg(long, value_name = "PRICE", default_value_t = 0.0)]
    gpu_price: f64,
    /// Price of a GiB's hour in a store
    #[arg(long, value_name = "PRICE", default_value_t = 0.0)]
    gib_price: f64,
    #[command(flatten)]
    source: TraceFlags,
    /// JSON on standard output
    #[arg(long)]
    json: bool,
    /// Only the section to be pasted
    #[arg(long, conflicts_with = "json")]
    section: bool,
}

const GIB: f64 = (1_u64 << 30) as f64;
/// Share of a network's rate that carries blocks: what is usually measured of it.
const NETWORK_SHARE: f64 = 0.9;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (model, site) = match understood(arguments) {
        Ok(understood) => understood,
        Err(faults) => {
            for fault in faults {
                logs::say(format_args!("onefill: {fault}"));
            }
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    let workload = arguments.workload.as_deref();
    let trace = workload
        .map(|name| arguments.source.open(name))
        .transpose()?;
    let ask = Ask {
        model: &model,
        site,
        block_tokens: arguments.block_tokens,
        trace: trace.as_ref(),
        wanted: arguments.hit,
        prices: Prices {
            gpu: arguments.gpu_price,
            gib: arguments.gib_price,
        },
    };
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.enable_steady_tick(Duration::from_millis(200));
    let made = plan(&ask, &mut |step| bar.set_message(step.to_owned()));
    bar.finish_and_clear();
    let plan = made?;
    logs::print(&match (arguments.json, arguments.section) {
        (true, _) => format!("{}\n", serde_json::to_string_pretty(&plan)?),
        (_, true) => sizing::section(&plan),
        _ => sizing::text(&plan),
    });
    Ok(ExitCode::SUCCESS)
}

/// The model and the site, or every fault at once.
fn understood(arguments: &Arguments) -> Result<(Model, Site), Vec<String>> {
    let mut faults = Vec::new();
    let cache = CacheDtype::parse(&arguments.kv_cache_dtype);
    if cache.is_none() {
        faults.push(format!(
            "no cache type {:?}: vLLM has auto, float16, fp8, fp8_ds_mla",
            arguments.kv_cache_dtype
        ));
    }
    let model = model(&arguments.model, cache.unwrap_or_default());
    let gpu = Gpu::find(&arguments.gpu);
    if gpu.is_none() {
        faults.push(unknown(
            "accelerator",
            &arguments.gpu,
            GPUS.map(|gpu| gpu.name),
        ));
    }
    let positive = [
        ("--weight-bits", arguments.weight_bits),
        ("--network-gbit", arguments.network_gbit),
        ("--node-memory", arguments.node_memory),
        (
            "--prefill-tokens-s",
            arguments.prefill_tokens_s.unwrap_or(1.0),
        ),
    ];
    for (flag, value) in positive {
        if value <= 0.0 || !value.is_finite() {
            faults.push(format!("{flag} must be above zero"));
        }
    }
    let shares = [
        ("--gpu-memory-share", arguments.gpu_memory_share),
        ("--hit", arguments.hit.unwrap_or(0.5)),
    ];
    for (flag, value) in shares {
        if !(0.0..=1.0).contains(&value) {
            faults.push(format!("{flag} must be from 0 to 1"));
        }
    }
    match (model, gpu) {
        (Ok(model), Some(gpu)) if faults.is_empty() => Ok((model, site(arguments, gpu))),
        (model, _) => {
            faults.extend(model.err().map(|fault| format!("{fault:#}")));
            Err(faults)
        }
    }
}

fn model(name: &str, cache: CacheDtype) -> anyhow::Result<Model> {
    let path = Path::new(name);
    if !path.exists() {
        return Ok(Model::find(name, cache)?);
    }
    let file = match path.is_dir() {
        true => path.join("config.json"),
        false => path.to_owned(),
    };
    let reading = || format!("reading {}", file.display());
    let text = std::fs::read_to_string(&file).with_context(reading)?;
    Model::from_config(name, &text, cache).with_context(reading)
}

fn site(arguments: &Arguments, gpu: Gpu) -> Site {
    Site {
        gpu,
        gpus: arguments.gpus,
        replicas: arguments.replicas,
        gpu_memory_share: arguments.gpu_memory_share,
        weight_bits: arguments.weight_bits,
        host_bytes: arguments.host_memory.map(|gib| gib.max(0.0) * GIB),
        node_bytes: arguments.node_memory * GIB,
        network_bytes_s: arguments.network_gbit * 1e9 / 8.0 * NETWORK_SHARE,
        first_byte_s: arguments.first_byte_ms.max(0.0) / 1e3,
        prefill_tokens_s: arguments.prefill_tokens_s,
    }
}
