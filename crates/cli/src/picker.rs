//! `onefill picker`: the Envoy endpoint picker. Flags and defaults are the reference's where it has
//! them.

use crate::{
    EXIT_USAGE,
    config::Faults,
    logs::{self, LogFormat},
    router::stop_on_signal,
};
use anyhow::Context as _;
use clap::{ArgAction, ValueEnum};
use onefill_fleet::{Discovery, FleetConfig, ReplicaSpec};
use onefill_kv::KeySeed;
use onefill_picker::{
    Config, Limits, Listeners, Timeouts, time,
    tls::{Acceptor, Lowest},
};
use onefill_prompt::Prompter;
use onefill_schedule::Policy;
use std::{
    hash::{BuildHasher, RandomState},
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpListener, runtime};
use tokio_util::sync::CancellationToken;

/// Flags of `onefill picker`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    ports: Ports,
    #[command(flatten)]
    tls: Tls,
    #[command(flatten)]
    endpoints: Endpoints,
    #[command(flatten)]
    picks: Picks,
    /// How long requests are still taken after SIGTERM
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time::parse)]
    drain_timeout: Duration,
    /// text or json
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Ports")]
struct Ports {
    /// Address that the ports are on
    #[arg(long, value_name = "IP", default_value = "0.0.0.0")]
    bind: IpAddr,
    /// ext_proc, and health too
    #[arg(long, value_name = "PORT", default_value_t = 9002)]
    grpc_port: u16,
    /// Health alone, without TLS
    #[arg(long, value_name = "PORT", default_value_t = 9003)]
    grpc_health_port: u16,
    /// /metrics and /debug/fleet
    #[arg(long, value_name = "PORT", default_value_t = 9090)]
    metrics_port: u16,
    /// Health is always served on the ext_proc port too: taken and passed over
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = true, default_missing_value = "true", action = ArgAction::Set)]
    health_checking: bool,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "TLS")]
struct Tls {
    /// TLS towards Envoy, with a certificate made at the start unless --cert-path names one
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = true, default_missing_value = "true", action = ArgAction::Set)]
    secure_serving: bool,
    /// Folder with tls.crt and tls.key
    #[arg(long, value_name = "FOLDER")]
    cert_path: Option<PathBuf>,
    /// Read them again when they change
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    enable_cert_reload: bool,
    /// Lowest version
    #[arg(long, value_enum, default_value_t)]
    tls_min_version: Version,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Version {
    #[default]
    #[value(name = "1.2", alias = "VersionTLS12")]
    Tls12,
    #[value(name = "1.3", alias = "VersionTLS13")]
    Tls13,
}

impl From<Version> for Lowest {
    fn from(version: Version) -> Self {
        match version {
            Version::Tls12 => Self::Tls12,
            Version::Tls13 => Self::Tls13,
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Endpoints")]
struct Endpoints {
    /// An endpoint of the pool; may be given often
    #[arg(long, value_name = "IP:PORT")]
    endpoint: Vec<SocketAddr>,
    /// A file of replicas as `onefill router` reads it, read again when it changes
    #[arg(long, value_name = "FILE")]
    replicas_file: Option<PathBuf>,
    /// A (headless) service whose addresses are the endpoints
    #[arg(long, value_name = "NAME:PORT", value_parser = name_and_port)]
    dns: Option<(String, u16)>,
    /// Don't subscribe to endpoints' KV events
    #[arg(long)]
    no_events: bool,
    /// Longest time between two readings of an endpoint's load
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time::parse)]
    load_interval_max: Duration,
    /// Memory for the index of blocks
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30)]
    index_memory_bytes: usize,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Picks")]
struct Picks {
    /// Folder with tokenizer.json (and a chat template), or `simulated`; without one caches are
    /// known approximately
    #[arg(long, value_name = "FOLDER")]
    tokenizer: Option<String>,
    /// Endpoints told for one request, the best first; more than one needs `override_host`
    #[arg(long, value_name = "N", default_value_t = 1)]
    destinations: usize,
    /// Pass over subset hints
    #[arg(long, num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    disable_endpoint_subset_filter: bool,
    /// Put each endpoint's score into the metadata
    #[arg(long, num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    emit_endpoint_scores: bool,
    /// The reference's status codes where its own specification says otherwise
    #[arg(long)]
    reference_codes: bool,
    /// End each stream once it is known where its request goes: answers don't come by
    #[arg(long)]
    no_response_processing: bool,
    /// Largest request body
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().body_bytes_max)]
    body_bytes_max: usize,
    /// Largest message of Envoy's; a buffered body is one message
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().message_bytes_max)]
    grpc_max_recv_msg_size: usize,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    logs::start(arguments.log_format);
    let mut faults = Faults::default();
    let discovery = discovery(&arguments.endpoints, &mut faults);
    let tokenizer = arguments.picks.tokenizer.as_deref();
    let tokenizer = tokenizer.and_then(|folder| load(folder, &mut faults));
    let tls = tls(&arguments.tls, &mut faults);
    if !faults.0.is_empty() {
        let count = faults.0.len();
        logs::say(format_args!("{faults}{count} fault(s) in the arguments"));
        return Ok(ExitCode::from(EXIT_USAGE));
    }
    let config = Config {
        tokenizer,
        ..config(arguments)
    };
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(arguments, discovery, config, tls))?;
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

fn config(arguments: &Arguments) -> Config {
    let picks = &arguments.picks;
    let seed = RandomState::new().hash_one("block keys");
    Config {
        destinations: picks.destinations.max(1),
        subsets: !picks.disable_endpoint_subset_filter,
        emit_scores: picks.emit_endpoint_scores,
        reference_codes: picks.reference_codes,
        responses: !picks.no_response_processing,
        limits: Limits {
            body_bytes_max: picks.body_bytes_max,
            message_bytes_max: picks.grpc_max_recv_msg_size,
            ..Limits::default()
        },
        timeouts: Timeouts {
            drain: arguments.drain_timeout,
            ..Timeouts::default()
        },
        ..Config::new(Policy::Kv, KeySeed(seed))
    }
}

fn discovery(endpoints: &Endpoints, faults: &mut Faults) -> Discovery {
    let mut found = Vec::new();
    if !endpoints.endpoint.is_empty() {
        let spec = |address: &SocketAddr| ReplicaSpec {
            url: format!("http://{address}"),
            ..ReplicaSpec::default()
        };
        found.push(Discovery::Static(
            endpoints.endpoint.iter().map(spec).collect(),
        ));
    }
    found.extend(endpoints.replicas_file.clone().map(Discovery::File));
    let named = endpoints.dns.clone();
    found.extend(named.map(|(name, port)| Discovery::Dns { name, port }));
    match (found.pop(), found.len()) {
        (Some(one), 0) => one,
        _ => {
            let what = "name the endpoints in one way: --endpoint, --replicas-file or --dns";
            faults.add("endpoints", what);
            Discovery::Static(Vec::new())
        }
    }
}

fn load(folder: &str, faults: &mut Faults) -> Option<Arc<Prompter>> {
    let loaded = match folder {
        "simulated" => Some(Prompter::simulated()),
        folder => faults.keep("--tokenizer", Prompter::load(Path::new(folder))),
    };
    loaded.map(Arc::new)
}

fn tls(tls: &Tls, faults: &mut Faults) -> Option<Acceptor> {
    if !tls.secure_serving {
        return None;
    }
    let lowest = tls.tls_min_version.into();
    let made = match &tls.cert_path {
        Some(folder) => Acceptor::from_folder(folder, lowest),
        None => Acceptor::self_signed(lowest),
    };
    faults.keep("--cert-path", made)
}

async fn serve(
    arguments: &Arguments,
    discovery: Discovery,
    config: Config,
    tls: Option<Acceptor>,
) -> anyhow::Result<()> {
    let ports = &arguments.ports;
    let main = bind(ports.bind, ports.grpc_port).await?;
    let health = bind(ports.bind, ports.grpc_health_port).await?;
    let metrics = bind(ports.bind, ports.metrics_port).await?;
    tracing::info!(
        addr = %main.local_addr()?,
        health = %health.local_addr()?,
        metrics = %metrics.local_addr()?,
        tls = tls.is_some(),
        "listening"
    );
    let fleet_end = CancellationToken::new();
    let _fleet_end = fleet_end.clone().drop_guard();
    let fleet = FleetConfig {
        discovery,
        seed: config.seed,
        events: !arguments.endpoints.no_events,
        index_memory_bytes: arguments.endpoints.index_memory_bytes,
        load_interval_max: arguments.endpoints.load_interval_max,
        probe_timeout: Duration::from_secs(2),
    };
    let fleet = onefill_fleet::start(fleet, fleet_end);
    if let (Some(acceptor), Some(folder), true) = (
        &tls,
        &arguments.tls.cert_path,
        arguments.tls.enable_cert_reload,
    ) {
        let lowest = arguments.tls.tls_min_version.into();
        tokio::spawn(acceptor.clone().reload(folder.clone(), lowest));
    }
    let shutdown = CancellationToken::new();
    tokio::spawn(stop_on_signal(shutdown.clone()));
    let listeners = Listeners {
        main,
        tls,
        health: Some(health),
        metrics: Some(metrics),
    };
    onefill_picker::run(listeners, config, fleet, shutdown).await;
    tracing::info!("stopped");
    Ok(())
}

async fn bind(ip: IpAddr, port: u16) -> anyhow::Result<TcpListener> {
    TcpListener::bind((ip, port))
        .await
        .with_context(|| format!("can't listen on port {port} of {ip}"))
}

fn name_and_port(text: &str) -> Result<(String, u16), String> {
    let parts = text.rsplit_once(':');
    let parsed = parts.and_then(|(name, port)| Some((name.to_owned(), port.parse().ok()?)));
    parsed.ok_or_else(|| format!("`{text}` is no name of a service: expected NAME:PORT"))
}
