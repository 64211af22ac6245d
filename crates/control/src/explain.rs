//! What would run and why, in words and numbers.

use crate::{
    fault::Faults,
    objects,
    quantity::{GIB, kubernetes},
    settings::Settings,
    spec::{Backend, Mode},
    status::{capacity, endpoint, warnings},
    wanted::{Kv, Store, Wanted},
};
use serde_json::Value;
use std::fmt::Write as _;

/// What a GPU of today computes of a prefill, and what networks carry: round numbers for an estimate.
/// The engine measures both and decides by that.
const FLOPS_PER_GPU: f64 = 400e12;
const NETWORKS_GBIT_S: [f64; 3] = [10.0, 25.0, 100.0];
/// A prompt to count capacities in.
const PROMPT_TOKENS: u64 = 4096;

/// Explains an `LLMInference`.
pub fn explain(xr: &Value, settings: &Settings) -> Result<String, Faults> {
    let wanted = Wanted::read(xr, settings)?;
    let mut text = String::new();
    head(&wanted, &mut text);
    let Some(kv) = &wanted.kv else {
        text.push_str("\nkvCache is off: each replica keeps what fits into its GPU, and nobody knows what the others have.\n");
        if wanted.backend == Backend::Operator {
            text.push_str(
                "As published, prefix caching is off too: every prompt is computed whole.\n",
            );
        }
        return Ok(text);
    };
    runs(&wanted, kv, settings, &mut text);
    numbers(&wanted, kv, &mut text);
    pays(&wanted, kv, &mut text);
    let warnings = warnings(&wanted, kv);
    if !warnings.is_empty() {
        text.push_str("\nWarnings\n");
        for warning in warnings {
            _ = writeln!(text, "  {warning}");
        }
    }
    Ok(text)
}

fn head(wanted: &Wanted, text: &mut String) {
    let engines = match &wanted.scaling {
        Some(scaling) => format!(
            "{} to {} replicas",
            scaling.min_replicas, scaling.max_replicas
        ),
        None if wanted.replicas == 1 => "1 replica".to_owned(),
        None => format!("{} replicas", wanted.replicas),
    };
    let gpus = match wanted.gpu {
        0 => "the CPU".to_owned(),
        1 => "1 GPU".to_owned(),
        many => format!("{many} GPUs"),
    };
    let backend = match wanted.backend {
        Backend::Operator => "a VLLMRuntime of the production stack's operator",
        Backend::Deployment => "a Deployment",
    };
    _ = writeln!(
        text,
        "{} in namespace {}: {} on {gpus}, {engines}, by {backend}",
        wanted.name, wanted.namespace, wanted.model
    );
    if let Some(provider) = &wanted.provider {
        _ = writeln!(
            text,
            "made on the cluster of ProviderConfig {provider}, wrapped as Objects"
        );
    }
}

fn runs(wanted: &Wanted, kv: &Kv, settings: &Settings, text: &mut String) {
    let objects = objects::all(wanted, settings);
    _ = writeln!(text, "\nWhat runs ({} objects)", objects.len());
    let tier = match kv.cpu_bytes {
        0 => "no CPU tier".to_owned(),
        bytes => format!("a CPU tier of {}", kubernetes(bytes)),
    };
    let disk = match kv.disk_bytes {
        0 => String::new(),
        bytes => format!(", {} of its node's disk", kubernetes(bytes)),
    };
    _ = writeln!(
        text,
        "  engine  prefix caching, blocks of {} tokens, {tier}{disk}",
        kv.block_tokens
    );
    match &kv.store {
        Store::None => text.push_str("  store   none: a replica's blocks are its own\n"),
        Store::External(url) => _ = writeln!(text, "  store   {url}, which is somebody else's"),
        Store::Managed(managed) => {
            let size = capacity(managed);
            _ = writeln!(text, "  store   {size}, {} goes first", managed.policy);
        }
    }
    let door = match kv.mode {
        Mode::Kv => "a router that knows by events which blocks each replica holds",
        Mode::Prefix => "a router that sends equal beginnings of prompts to the same replica",
        Mode::Session => "a router that keeps a session on its replica",
        Mode::LeastLoad => "a router that takes the least loaded replica",
        Mode::RoundRobin => "a router that takes the replicas in turn",
        Mode::Gateway => {
            "a Gateway, which asks a picker that knows by events what each replica holds"
        }
        Mode::None => "the Service alone: any replica",
    };
    _ = writeln!(text, "  door    {door}");
    _ = writeln!(text, "  clients go to {}", endpoint(wanted, kv));
}

fn numbers(wanted: &Wanted, kv: &Kv, text: &mut String) {
    let Some(bytes) = wanted.bytes_per_token() else {
        return;
    };
    _ = writeln!(
        text,
        "\nNumbers\n  a token's keys and values take {bytes} bytes: {} tokens a GiB",
        GIB / bytes
    );
    let holds = |what: &str, size: u64| {
        let tokens = size / bytes;
        let prompts = tokens / PROMPT_TOKENS;
        format!("  {what} holds {tokens} tokens: {prompts} prompts of {PROMPT_TOKENS}\n")
    };
    if kv.cpu_bytes > 0 {
        text.push_str(&holds("each CPU tier", kv.cpu_bytes));
    }
    if let Some(managed) = kv.managed() {
        text.push_str(&holds("the store's memory", managed.memory_bytes));
        if managed.disk_bytes > 0 {
            text.push_str(&holds("its disk", managed.disk_bytes));
        }
    }
}

/// Loading pays where bytes come sooner than the tokens are computed.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn pays(wanted: &Wanted, kv: &Kv, text: &mut String) {
    let loads = !wanted.on_cpu() && kv.store != Store::None;
    let Some(model) = wanted.known.as_ref().filter(|_| loads) else {
        return;
    };
    let bytes = model.kv.bytes_per_token() as f64;
    let gpus = wanted.ranks() as f64;
    let prefill_s = 2.0 * model.active as f64 / (FLOPS_PER_GPU * gpus);
    _ = writeln!(
        text,
        "\nDoes loading from the store pay?\n  computing a token of a prompt takes about {:.1} us ({:.0} TFLOP/s a GPU)",
        prefill_s * 1e6,
        FLOPS_PER_GPU / 1e12
    );
    for network in NETWORKS_GBIT_S {
        let load_s = bytes * 8.0 / (network * 1e9);
        let verdict = if load_s < prefill_s {
            "quicker"
        } else {
            "slower"
        };
        let times = (prefill_s / load_s).max(load_s / prefill_s);
        _ = writeln!(
            text,
            "  loading it takes {:.1} us at {network} Gb/s: {times:.1} times {verdict}",
            load_s * 1e6
        );
    }
    _ = writeln!(
        text,
        "  break-even is {:.0} Gb/s for short prompts; long ones pay sooner, because attention grows with them",
        bytes * 8.0 / prefill_s / 1e9
    );
    if wanted.backend == Backend::Deployment {
        text.push_str("  the engine measures both and loads only where it is quicker\n");
    }
}
