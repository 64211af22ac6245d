//! `onefill store`: blocks in tiers, for engines to share.

mod bytes;

use crate::logs::{self, LogFormat};
use anyhow::Context as _;
use onefill_store::{
    Config, Listener, Speaks, StoreConfig,
    disk::DiskConfig,
    door::{Profile, RespOptions},
    policy,
};
use std::{net::TcpListener, process::ExitCode, sync::Arc, time::Duration};
use tokio::runtime;
use tokio_util::sync::CancellationToken;

/// Flags of `onefill store`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Address for LMCache's lm:// clients; `none` for none
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:65432")]
    lm: String,
    /// Address for Redis clients, LMCache's redis:// and resp:// among them; `none` for none
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:6380")]
    resp: String,
    /// Address for our own protocol; `none` for none
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:65433")]
    native: String,
    /// Address for people and monitoring (/metrics, /health, /ready); `none` for none
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9180")]
    admin: String,
    /// Memory for blocks
    #[arg(long, value_name = "SIZE", default_value = "4GiB", value_parser = bytes::parse)]
    memory: usize,
    /// Folder of the disk tier; none without
    #[arg(long, value_name = "FOLDER")]
    disk: Option<std::path::PathBuf>,
    /// Room on disk
    #[arg(long, value_name = "SIZE", default_value = "100GiB", value_parser = bytes::parse)]
    disk_size: usize,
    /// What goes first when memory is full: lru or s3-fifo
    #[arg(long, value_name = "NAME", default_value = "lru", value_parser = choice)]
    policy: policy::Choice,
    /// How long a block stays readable after a client was told that it is there
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    lease_seconds: u64,
    /// Namespace of clients that name none
    #[arg(long, value_name = "NAME", default_value = "default")]
    namespace: String,
    /// Answer misses as LMCache's native client reads them: auto, always or never
    #[arg(long, value_name = "WHEN", default_value = "auto", value_parser = profile)]
    lmcache_profile: Profile,
    /// Obey FLUSHDB and FLUSHALL
    #[arg(long)]
    allow_flush: bool,
    /// Serving threads [default: one for each core]
    #[arg(long, value_name = "COUNT")]
    threads: Option<usize>,
    /// Connections at once
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    connections_max: usize,
    /// text or json
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

/// Blocks that wait to be written to disk take at most one part in this many of the memory.
const DISK_QUEUE_SHARE: usize = 4;

fn choice(text: &str) -> Result<policy::Choice, String> {
    let mut all = policy::Choice::ALL.into_iter();
    all.find(|choice| choice.name() == text)
        .ok_or_else(|| "expected lru or s3-fifo".to_owned())
}

fn profile(text: &str) -> Result<Profile, String> {
    match text {
        "auto" => Ok(Profile::Auto),
        "always" => Ok(Profile::Always),
        "never" => Ok(Profile::Never),
        _ => Err("expected auto, always or never".to_owned()),
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    logs::start(arguments.log_format);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let config = Config {
        store: StoreConfig {
            memory_bytes: arguments.memory,
            policy: arguments.policy,
            lease: Duration::from_secs(arguments.lease_seconds),
            disk: arguments.disk.clone().map(|path| DiskConfig {
                path,
                bytes: arguments.disk_size as u64,
                queue_bytes: arguments.memory / DISK_QUEUE_SHARE,
            }),
        },
        threads: arguments.threads.unwrap_or(cores),
        connections_max: arguments.connections_max,
        drain: Duration::from_secs(10),
    };
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(arguments, config))?;
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

async fn serve(arguments: &Arguments, config: Config) -> anyhow::Result<()> {
    let resp = Arc::new(RespOptions {
        profile: arguments.lmcache_profile,
        allow_flush: arguments.allow_flush,
        ..RespOptions::default()
    });
    let mut listeners = Vec::new();
    for (address, speaks) in [
        (&arguments.lm, Speaks::Lm),
        (&arguments.resp, Speaks::Resp(resp)),
        (&arguments.native, Speaks::Native(Arc::default())),
    ] {
        if let Some(socket) = bind(address)? {
            listeners.push(Listener {
                socket,
                speaks,
                namespace: arguments.namespace.clone(),
                block_bytes: None,
            });
        }
    }
    let admin = bind(&arguments.admin)?;
    let address = |socket: &TcpListener| socket.local_addr().map_err(anyhow::Error::from);
    for listener in &listeners {
        tracing::info!(
            addr = %address(&listener.socket)?,
            door = listener.speaks.door().name(),
            "listening"
        );
    }
    if let Some(admin) = &admin {
        tracing::info!(addr = %address(admin)?, door = "admin", "listening");
    }
    let shutdown = CancellationToken::new();
    tokio::spawn(crate::router::stop_on_signal(shutdown.clone()));
    onefill_store::run(config, listeners, admin, shutdown).await?;
    tracing::info!("stopped");
    Ok(())
}

fn bind(address: &str) -> anyhow::Result<Option<TcpListener>> {
    if address == "none" {
        return Ok(None);
    }
    let socket = TcpListener::bind(address);
    Ok(Some(
        socket.with_context(|| format!("can't listen on {address}"))?,
    ))
}
