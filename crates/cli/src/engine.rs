//! `onefill engine`: a simulated vLLM replica.

use crate::{
    logs::{self, LogFormat},
    stop::signal,
};
use anyhow::Context as _;
use onefill_engine::{Batch, Cache, Config, Events, HashForm, Order, Speed};
use onefill_kv::engine_hash::Algorithm;
use std::{path::PathBuf, process::ExitCode};
use tokio::{net::TcpListener, runtime};
use tokio_util::sync::CancellationToken;

/// Flags of `onefill engine`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Address for clients
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8000")]
    listen: String,
    /// Name of the model
    #[arg(long, value_name = "NAME", default_value = "simulated")]
    model: String,
    /// Name of a LoRA adapter; may be given often
    #[arg(long, value_name = "NAME")]
    lora: Vec<String>,
    /// Folder of a real model's tokenizer [default: a simulated one]
    #[arg(long, value_name = "FOLDER")]
    tokenizer: Option<PathBuf>,
    #[command(flatten)]
    cache: CacheFlags,
    #[command(flatten)]
    speed: SpeedFlags,
    #[command(flatten)]
    events: EventFlags,
    /// Answers are the same for one seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    faults: FaultFlags,
    /// text or json
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

#[derive(Debug, clap::Args)]
struct CacheFlags {
    /// Blocks of the cache, one of them kept by the engine
    #[arg(long, value_name = "N", default_value_t = 4096)]
    blocks: u32,
    /// Tokens a block
    #[arg(long, value_name = "N", default_value_t = 16)]
    block_size: u32,
    /// Tokens of the longest prompt and answer together [default: what the cache holds]
    #[arg(long, value_name = "N")]
    max_model_len: Option<u32>,
    /// sha256, sha256_cbor, xxhash or xxhash_cbor
    #[arg(long, value_name = "NAME", default_value = "sha256_cbor", value_parser = algorithm)]
    prefix_caching_hash_algo: Algorithm,
    /// PYTHONHASHSEED [default: unset]
    #[arg(long, value_name = "TEXT")]
    hash_seed: Option<String>,
    /// Events carry raw digests instead of numbers
    #[arg(long)]
    raw_hashes: bool,
}

#[derive(Debug, clap::Args)]
struct SpeedFlags {
    /// Prompt tokens computed a second; 0: in no time
    #[arg(long, value_name = "TOKENS/S", default_value_t = 0.0)]
    prefill_rate: f64,
    /// Tokens a second of each answer; 0: in no time
    #[arg(long, value_name = "TOKENS/S", default_value_t = 0.0)]
    decode_rate: f64,
    /// Requests that run at once; others wait
    #[arg(long, value_name = "N", default_value_t = 256)]
    max_num_seqs: usize,
    /// Tokens of one step
    #[arg(long, value_name = "N", default_value_t = 8192)]
    max_num_batched_tokens: usize,
}

#[derive(Debug, clap::Args)]
struct EventFlags {
    /// Where KV events are published [default: nowhere]
    #[arg(long, value_name = "tcp://*:PORT")]
    events: Option<String>,
    /// Where old ones can be asked for [default: nowhere]
    #[arg(long, value_name = "tcp://*:PORT", requires = "events")]
    replay: Option<String>,
    /// First frame of each message
    #[arg(long, value_name = "TEXT", default_value = "")]
    topic: String,
    /// Batches kept for replay
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    buffer_steps: usize,
}

/// Faults from the start; `POST /fault` orders them later.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Faults")]
struct FaultFlags {
    /// Events are numbered and kept for replay, but not sent
    #[arg(long)]
    fault_silence: bool,
    /// So many batches of events are not sent; a replay has them
    #[arg(long, value_name = "N")]
    fault_drop_batches: Option<u64>,
    /// So many batches of events are gone for good
    #[arg(long, value_name = "N")]
    fault_lose_batches: Option<u64>,
    /// A slow start: every path answers 503 for so long
    #[arg(long, value_name = "MS")]
    fault_unavailable_ms: Option<u64>,
    /// A slow start: connections are closed at once for so long
    #[arg(long, value_name = "MS")]
    fault_refuse_ms: Option<u64>,
    /// So many requests are answered 500
    #[arg(long, value_name = "N")]
    fault_500: Option<u64>,
    /// So many requests are answered 503
    #[arg(long, value_name = "N")]
    fault_503: Option<u64>,
    /// So many streams break off after their first token
    #[arg(long, value_name = "N")]
    fault_cut_streams: Option<u64>,
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    let known = || Algorithm::ALL.map(Algorithm::name).join(", ");
    Algorithm::parse(name).ok_or_else(|| format!("one of {} is expected", known()))
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    logs::start(arguments.log_format);
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(arguments))?;
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

async fn serve(arguments: &Arguments) -> anyhow::Result<()> {
    let listener = TcpListener::bind(&arguments.listen)
        .await
        .with_context(|| format!("can't listen on {}", arguments.listen))?;
    let config = config(arguments);
    tracing::info!(
        addr = %listener.local_addr()?,
        events = arguments.events.events,
        blocks = config.cache.blocks,
        "simulated replica"
    );
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        signal().await;
        stop.cancel();
    });
    onefill_engine::run(listener, config, shutdown).await?;
    Ok(())
}

fn config(arguments: &Arguments) -> Config {
    let (cache, speed) = (&arguments.cache, &arguments.speed);
    let (events, faults) = (&arguments.events, &arguments.faults);
    Config {
        model: arguments.model.clone(),
        loras: arguments.lora.clone(),
        tokenizer: arguments.tokenizer.clone(),
        cache: Cache {
            blocks: cache.blocks,
            block_tokens: cache.block_size,
            model_len_max: cache.max_model_len,
            algorithm: cache.prefix_caching_hash_algo,
            hash_seed: cache.hash_seed.clone(),
            hash_form: if cache.raw_hashes {
                HashForm::Digest
            } else {
                HashForm::Int
            },
        },
        speed: Speed {
            prefill_tokens_s: speed.prefill_rate,
            decode_tokens_s: speed.decode_rate,
        },
        batch: Batch {
            seqs_max: speed.max_num_seqs,
            batched_tokens_max: speed.max_num_batched_tokens,
        },
        events: events.events.as_ref().map(|endpoint| Events {
            endpoint: endpoint.clone(),
            replay: events.replay.clone(),
            topic: events.topic.clone(),
            buffer_batches: events.buffer_steps,
        }),
        seed: arguments.seed,
        faults: Order {
            silence: Some(faults.fault_silence),
            drop_batches: faults.fault_drop_batches,
            lose_batches: faults.fault_lose_batches,
            restart: false,
            unavailable_ms: faults.fault_unavailable_ms,
            refuse_ms: faults.fault_refuse_ms,
            errors_500: faults.fault_500,
            errors_503: faults.fault_503,
            cut_streams: faults.fault_cut_streams,
        },
    }
}
