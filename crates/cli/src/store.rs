//! `onefill store`: blocks in tiers, for engines to share.

mod ask;
mod bytes;
mod file;

use crate::{
    EXIT_USAGE,
    logs::{self, LogFormat},
};
use anyhow::Context as _;
use file::{Door, File};
use onefill_evict::Choice;
use onefill_remote::{Place, PlaceError};
use onefill_store::{
    Admins, Config, Listener, Speaks, StoreConfig, Tls, TlsFiles, WindowsAt,
    disk::DiskConfig,
    door::{NativeOptions, Profile, RespOptions},
    remote::RemoteConfig,
};
use std::{
    net::{TcpListener, ToSocketAddrs as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tokio::runtime;
use tokio_util::sync::CancellationToken;

/// Flags of `onefill store`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    ask: Option<ask::Ask>,
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
    /// File with the token that whoever asks more than figures there must show; without one only this
    /// machine's own address answers
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    /// Memory for blocks
    #[arg(long, value_name = "SIZE", default_value = "4GiB", value_parser = bytes::parse)]
    memory: usize,
    /// Folder of the disk tier; none without
    #[arg(long, value_name = "FOLDER")]
    disk: Option<PathBuf>,
    /// Room on disk
    #[arg(long, value_name = "SIZE", default_value = "100GiB", value_parser = bytes::parse)]
    disk_size: usize,
    /// The remote tier: s3://BUCKET/PREFIX, valkey://HOST:PORT or file:///FOLDER [default: what the
    /// environment's ONEFILL_STORE_REMOTE says, which nobody sees in a list of programs; else none]
    #[arg(long, value_name = "URL")]
    remote: Option<String>,
    /// What goes first when memory is full: lru, density or s3-fifo (docs/eviction.md)
    #[arg(long, visible_alias = "policy", value_name = "NAME", default_value = "lru", value_parser = choice)]
    eviction: Choice,
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
    /// Where native clients on this machine are handed memory to share: `here` (whoever shares the
    /// network namespace), a folder (whoever has it too), or `none`
    #[arg(long, value_name = "here|FOLDER|none", default_value = "here", value_parser = windows)]
    windows: WindowsAt,
    /// Certificate chain of all doors, PEM; without one they speak plainly
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Authorities that clients' certificates must come from, PEM; without them clients need none
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_client_authorities: Option<PathBuf>,
    /// Further listeners, users and tenants, in TOML (docs/store.md)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// text or json
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

impl Arguments {
    /// Who may ask for blocks at the admin address.
    fn admins(&self) -> anyhow::Result<Admins> {
        if let Some(path) = &self.admin_token_file {
            return Ok(Admins::Token(file::secret_in(path)?));
        }
        let mut addresses = self.admin.to_socket_addrs().into_iter().flatten();
        let is_here = addresses.all(|address| address.ip().is_loopback());
        Ok(if is_here {
            Admins::Anybody
        } else {
            Admins::Nobody
        })
    }

    /// TLS of the doors, where it is asked for.
    fn tls(&self) -> anyhow::Result<Option<Tls>> {
        let (Some(certificate), Some(key)) = (&self.tls_certificate, &self.tls_key) else {
            return Ok(None);
        };
        let files = TlsFiles {
            certificate: certificate.clone(),
            key: key.clone(),
            client_authorities: self.tls_client_authorities.clone(),
        };
        Ok(Some(files.read()?))
    }
}

/// Blocks that wait to be written to disk take at most one part in this many of the memory, and those
/// that wait for the remote as much.
const QUEUE_SHARE: usize = 4;
/// What is known of blocks on disk takes at most one part in this many of the memory, beside it, and may
/// always take so much.
const INDEX_SHARE: usize = 16;
const INDEX_MIN: usize = 32 << 20;

fn choice(text: &str) -> Result<Choice, String> {
    let mut all = Choice::ALL.into_iter();
    all.find(|choice| choice.name() == text)
        .ok_or_else(|| "expected density, lru or s3-fifo".to_owned())
}

fn windows(text: &str) -> Result<WindowsAt, String> {
    match text {
        "here" => Ok(WindowsAt::Here),
        "none" => Ok(WindowsAt::Nowhere),
        folder if Path::new(folder).is_dir() => Ok(WindowsAt::Folder(folder.into())),
        _ => Err("expected here, none, or a folder that exists".to_owned()),
    }
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
    if let Some(ask) = &arguments.ask {
        return ask::run(ask);
    }
    logs::start(arguments.log_format);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let url = arguments.remote.clone();
    let url = url.or_else(|| std::env::var("ONEFILL_STORE_REMOTE").ok());
    let remote = match url.map(|url| remote(&url, arguments.memory)) {
        Some(Err(fault)) => {
            logs::say(format_args!("onefill: --remote: {fault}"));
            return Ok(ExitCode::from(EXIT_USAGE));
        }
        opened => opened.and_then(Result::ok),
    };
    let admins = match arguments.admins() {
        Ok(admins) => admins,
        Err(fault) => {
            logs::say(format_args!("onefill: --admin-token-file: {fault:#}"));
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    let config = Config {
        store: StoreConfig {
            memory_bytes: arguments.memory,
            policy: arguments.eviction,
            lease: Duration::from_secs(arguments.lease_seconds),
            disk: arguments.disk.clone().map(|path| DiskConfig {
                path,
                bytes: arguments.disk_size as u64,
                queue_bytes: arguments.memory / QUEUE_SHARE,
                index_bytes: (arguments.memory / INDEX_SHARE).max(INDEX_MIN),
            }),
            remote,
        },
        threads: arguments.threads.unwrap_or(cores),
        connections_max: arguments.connections_max,
        drain: Duration::from_secs(10),
        admins,
        windows: arguments.windows.clone(),
    };
    let file = arguments.config.as_deref().map(file::read).transpose();
    let folder = arguments.config.as_deref().and_then(Path::parent);
    let folder = folder.unwrap_or(Path::new("."));
    let bound = file.and_then(|file| listeners(arguments, &file.unwrap_or_default(), folder));
    let listeners = match bound {
        Ok(listeners) => listeners,
        Err(fault) => {
            logs::say(format_args!("onefill: {fault:#}"));
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(config, listeners, arguments))?;
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

/// The remote tier at this place.
fn remote(url: &str, memory: usize) -> Result<RemoteConfig, PlaceError> {
    let (place, prefix) = Place::parse(url)?;
    let engine = onefill_remote::open(&place)?;
    Ok(RemoteConfig::new(engine, &prefix, memory / QUEUE_SHARE))
}

/// The listeners of the flags and of the file, bound.
fn listeners(arguments: &Arguments, file: &File, folder: &Path) -> anyhow::Result<Vec<Listener>> {
    let resp = Speaks::Resp(Arc::new(RespOptions {
        profile: arguments.lmcache_profile,
        allow_flush: arguments.allow_flush,
        users: file.users(folder)?,
    }));
    let native = Speaks::Native(Arc::new(NativeOptions {
        tokens: file.tokens(folder)?,
    }));
    let tls = arguments.tls()?;
    let mut listeners = Vec::new();
    let mut add = |address: &str, speaks: &Speaks, namespace: &str, block_bytes, plain: bool| {
        let bound = bind(address)?.map(|socket| Listener {
            socket,
            speaks: speaks.clone(),
            namespace: namespace.to_owned(),
            block_bytes,
            tls: tls.clone().filter(|_| !plain),
        });
        listeners.extend(bound);
        anyhow::Ok(())
    };
    for (address, speaks) in [
        (&arguments.lm, &Speaks::Lm),
        (&arguments.resp, &resp),
        (&arguments.native, &native),
    ] {
        add(address, speaks, &arguments.namespace, None, false)?;
    }
    for listener in &file.listener {
        let speaks = match listener.door {
            Door::Lm => &Speaks::Lm,
            Door::Resp => &resp,
            Door::Native => &native,
        };
        let (address, namespace) = (&listener.address, &listener.namespace);
        add(
            address,
            speaks,
            namespace,
            listener.block_bytes,
            listener.plain,
        )?;
    }
    Ok(listeners)
}

async fn serve(
    config: Config,
    listeners: Vec<Listener>,
    arguments: &Arguments,
) -> anyhow::Result<()> {
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
