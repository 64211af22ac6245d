//! `onefill router`: the front door of a fleet.

use crate::{
    EXIT_USAGE,
    config::{self, Faults, Flags, Settings},
    logs::{self, LogFormat},
    stop::signal,
};
use anyhow::Context as _;
use onefill_kv::KeySeed;
use onefill_prompt::Prompter;
use onefill_record::Recorder;
use onefill_router::{Config, Listeners, Tokenizers, tls};
use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};
use tokio::{net::TcpListener, runtime};
use tokio_util::sync::CancellationToken;

/// Flags of `onefill router`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    flags: Flags,
    /// Configuration in TOML; flags stand over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say what is wrong with the configuration, and end
    #[arg(long)]
    check_config: bool,
    /// Print the configuration with all defaults, and end
    #[arg(long)]
    print_config: bool,
    /// text or json
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    logs::start(arguments.log_format);
    let mut faults = Faults::default();
    let settings = settings(arguments, &mut faults);
    if arguments.print_config && faults.0.is_empty() {
        logs::print(&config::print(&settings));
        return Ok(ExitCode::SUCCESS);
    }
    let mut config = build(&settings, &mut faults);
    if !faults.0.is_empty() {
        logs::say(format_args!(
            "{faults}{} fault(s) in the configuration",
            faults.0.len()
        ));
        return Ok(ExitCode::from(EXIT_USAGE));
    }
    if arguments.check_config {
        logs::say(format_args!("the configuration is good"));
        return Ok(ExitCode::SUCCESS);
    }
    config.record = recorder(&settings, config.seed)?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(&settings, config))?;
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

/// The file, and the flags over it.
fn settings(arguments: &Arguments, faults: &mut Faults) -> Settings {
    let mut settings = Settings::default();
    if let Some(path) = &arguments.config {
        let name = path.display().to_string();
        let read = faults.keep(&name, std::fs::read_to_string(path));
        match read.map(|text| config::read(&name, &text)) {
            Some(Ok(read)) => settings = read,
            Some(Err(found)) => faults.0.extend(found.0),
            None => {}
        }
    }
    arguments.flags.over(&mut settings, faults);
    settings
}

/// A file that may be written later needs its folder now.
fn in_a_folder(file: &Path) -> Result<(), String> {
    let parent = file.parent().filter(|parent| *parent != Path::new(""));
    match parent {
        Some(parent) if !parent.is_dir() => {
            let (file, parent) = (file.display(), parent.display());
            Err(format!(
                "{file}: there is no folder {parent}: make it first"
            ))
        }
        _ => Ok(()),
    }
}

/// The router's configuration, with everything loaded that it names.
fn build(settings: &Settings, faults: &mut Faults) -> Config {
    // Keys of the last run's index are of use with its seed only.
    let snapshot = settings.snapshot.as_deref();
    if let Some(path) = snapshot {
        faults.keep("snapshot", in_a_folder(path));
    }
    let seed = settings
        .key_seed
        .or_else(|| onefill_fleet::snapshot_seed(snapshot?).map(|seed| seed.0))
        .unwrap_or_else(|| RandomState::new().hash_one("block keys"));
    let tls = settings
        .tls
        .as_ref()
        .and_then(|(certificate, key)| faults.keep("tls", tls::server(certificate, key)));
    // Discovery may find https replicas at any time; without trusted roots they can't be reached.
    let upstream = tls::client(settings.upstream_authorities.as_deref());
    let upstream_tls = match &settings.upstream_authorities {
        Some(_) => faults.keep("upstream_authorities", upstream),
        None => upstream.ok(),
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Config {
        tokenizers: tokenizers(settings, faults),
        limits: settings.limits,
        timeouts: settings.timeouts,
        circuit: settings.circuit,
        api_keys: settings.api_keys.clone(),
        tls,
        upstream_tls,
        threads: settings.threads.unwrap_or(cores),
        ..Config::new(settings.policy, KeySeed(seed))
    }
}

fn recorder(settings: &Settings, seed: KeySeed) -> anyhow::Result<Option<Recorder>> {
    let Some(folder) = &settings.record else {
        return Ok(None);
    };
    let recorder = Recorder::start(onefill_record::Config {
        folder: folder.clone(),
        bytes_max: settings.record_bytes,
        seed,
        policy: settings.policy.name(),
    })?;
    Ok(Some(recorder))
}

fn tokenizers(settings: &Settings, faults: &mut Faults) -> Tokenizers {
    let mut loaded: HashMap<String, Arc<Prompter>> = HashMap::new();
    let mut load = |folder: &String| {
        if let Some(prompter) = loaded.get(folder) {
            return Some(Arc::clone(prompter));
        }
        let prompter = match folder.as_str() {
            "simulated" => Prompter::simulated(),
            folder => faults.keep("tokenizer", Prompter::load(Path::new(folder)))?,
        };
        let prompter = Arc::new(prompter);
        loaded.insert(folder.clone(), Arc::clone(&prompter));
        Some(prompter)
    };
    let default = settings.tokenizer.as_ref().and_then(&mut load);
    let by_model = settings.tokenizers.iter();
    let by_model = by_model
        .filter_map(|(model, folder)| Some((model.clone(), load(folder)?)))
        .collect();
    Tokenizers { default, by_model }
}

async fn serve(settings: &Settings, config: Config) -> anyhow::Result<()> {
    let main = bind(&settings.listen).await?;
    let admin = match &settings.admin {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    let admin_address = admin.as_ref().map(TcpListener::local_addr).transpose()?;
    tracing::info!(
        addr = %main.local_addr()?,
        admin = admin_address.map(tracing::field::display),
        policy = settings.policy.name(),
        "listening"
    );
    let shutdown = CancellationToken::new();
    let fleet_end = CancellationToken::new();
    let _fleet_end = fleet_end.clone().drop_guard();
    let fleet = onefill_fleet::start(settings.fleet(config.seed), fleet_end);
    tokio::spawn(stop_on_signal(shutdown.clone()));
    onefill_router::run(Listeners { main, admin }, config, fleet.clone(), shutdown).await?;
    if let Err(error) = fleet.save() {
        tracing::warn!(%error, "the index can't be written down");
    }
    tracing::info!("stopped");
    Ok(())
}

async fn bind(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("can't listen on {address}"))
}

/// The first signal lets requests in flight end; the second one does not wait.
pub(crate) async fn stop_on_signal(shutdown: CancellationToken) {
    signal().await;
    tracing::info!("asked to stop: requests in flight may end");
    shutdown.cancel();
    signal().await;
    tracing::warn!("asked again: stopping now");
    std::process::exit(130);
}
