//! `onefill picker`: the Envoy endpoint picker. Flags and defaults are the reference's where it has
//! them.

mod flags;
mod passed;

use crate::{EXIT_USAGE, config::Faults, logs, router::stop_on_signal};
use anyhow::Context as _;
pub(crate) use flags::Arguments;
use flags::{Endpoints, Picks, Tls};
use onefill_fleet::{Discovery, FeedPorts, FleetConfig, ReplicaSpec};
use onefill_kv::KeySeed;
use onefill_picker::{
    Config, Limits, Listeners, Timeouts, files,
    kubernetes::{self, Members, Place},
    rules::Rules,
    setup::{self, Setup},
    tls::Acceptor,
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
use tokio::{net::TcpListener, runtime, sync::watch};
use tokio_util::sync::CancellationToken;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    logs::start(arguments.log_format);
    for warning in arguments.passed.warnings() {
        logs::say(format_args!("{warning}"));
    }
    let mut faults = Faults::default();
    let setup = setup(&arguments.picks, &mut faults);
    let places = places(&arguments.endpoints, setup.as_ref(), &mut faults);
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
        policy: setup.as_ref().map_or(Policy::Kv, |setup| setup.policy),
        setup: setup.map(Arc::new),
        ..config(arguments)
    };
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(arguments, places, config, tls))?;
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

fn config(arguments: &Arguments) -> Config {
    let picks = &arguments.picks;
    let seed = RandomState::new().hash_one("block keys");
    let rules = Rules {
        objectives: picks.objective.iter().cloned().collect(),
        ..Rules::default()
    };
    Config {
        rules: watch::channel(Arc::new(rules)).1,
        load_interval_max: arguments.endpoints.load_interval_max,
        destinations: picks.destinations.max(1),
        subsets: !picks.disable_endpoint_subset_filter,
        emit_scores: picks.emit_endpoint_scores,
        reference_codes: picks.reference_codes,
        responses: !picks.no_response_processing,
        old_metric_names: arguments.ports.old_metric_names,
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

/// Where endpoints are found.
enum Places {
    /// The fleet knows how.
    Known(Discovery),
    /// A file of endpoints with names and labels.
    File(PathBuf),
    /// A pool in Kubernetes.
    Kubernetes(Place),
}

fn places(endpoints: &Endpoints, setup: Option<&Setup>, faults: &mut Faults) -> Places {
    let spec = |address: &SocketAddr| ReplicaSpec {
        url: format!("http://{address}"),
        ..ReplicaSpec::default()
    };
    let mut found = Vec::new();
    if !endpoints.endpoint.is_empty() {
        let given = endpoints.endpoint.iter().map(spec).collect();
        found.push(Places::Known(Discovery::Static(given)));
    }
    let replicas = endpoints.replicas_file.clone().map(Discovery::File);
    let named = endpoints.dns.clone();
    let named = named.map(|(name, port)| Discovery::Dns {
        name,
        port,
        feeds: feeds(endpoints),
    });
    found.extend(replicas.into_iter().chain(named).map(Places::Known));
    let in_setup = setup.and_then(|setup| setup.discovery.as_ref());
    let files = in_setup.map(|file| &file.path).into_iter();
    let files = files.chain(&endpoints.endpoints_file);
    found.extend(files.cloned().map(Places::File));
    found.extend(pool(endpoints).map(Places::Kubernetes));
    match (found.pop(), found.len()) {
        (Some(one), 0) => one,
        _ => {
            let what = "name the endpoints in one way: --pool-name, --endpoint-selector, \
                        --endpoint, --endpoints-file, --replicas-file, --dns, or file-discovery in the configuration";
            faults.add("endpoints", what);
            Places::Known(Discovery::Static(Vec::new()))
        }
    }
}

/// The pool, where endpoints are in one.
fn pool(endpoints: &Endpoints) -> Option<Place> {
    let named = endpoints.pool_name.as_ref();
    let members = match (named, endpoints.endpoint_selector.is_empty()) {
        (Some(name), true) => Members::Pool {
            name: name.clone(),
            group: endpoints.pool_group.clone(),
        },
        (None, false) => Members::Selector {
            labels: endpoints.endpoint_selector.iter().cloned().collect(),
            ports: endpoints.endpoint_target_ports.clone(),
        },
        _ => return None, // none, or both
    };
    let namespace = endpoints.pool_namespace.clone();
    let namespace = namespace.or_else(|| std::env::var("NAMESPACE").ok());
    Some(Place {
        namespace: namespace.unwrap_or_else(|| "default".to_owned()),
        members,
        feeds: feeds(endpoints),
    })
}

fn feeds(endpoints: &Endpoints) -> FeedPorts {
    FeedPorts {
        events: endpoints.events_port,
        replay: endpoints.replay_port,
    }
}

/// The configuration, where there is one.
fn setup(picks: &Picks, faults: &mut Faults) -> Option<Setup> {
    let (place, text) = match (&picks.config_file, &picks.config_text) {
        (Some(path), _) => {
            let place = path.display().to_string();
            let text = faults.keep(&place, std::fs::read_to_string(path))?;
            (place, text)
        }
        (None, Some(text)) => ("--config-text".to_owned(), text.clone()),
        (None, None) => return None,
    };
    match setup::read(&text) {
        Ok(setup) => {
            for warning in &setup.warnings {
                logs::say(format_args!("{place}: {warning}"));
            }
            Some(setup)
        }
        Err(found) => {
            let each = found.into_iter();
            each.for_each(|fault| faults.add(format!("{place}:{}", fault.line), fault.what));
            None
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
    places: Places,
    mut config: Config,
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
    let discovery = match places {
        Places::Known(discovery) => discovery,
        Places::File(path) => {
            let found = files::follow(path, fleet_end.clone());
            config.pods = Some(found.pods);
            Discovery::Followed(found.replicas)
        }
        Places::Kubernetes(place) => {
            let (found, rules) = kubernetes::follow_here(&place, &fleet_end).await?;
            config.pods = Some(found.pods);
            config.rules = rules;
            Discovery::Followed(found.replicas)
        }
    };
    let fleet = FleetConfig {
        discovery,
        seed: config.seed,
        events: !arguments.endpoints.no_events,
        index_memory_bytes: arguments.endpoints.index_memory_bytes,
        load_interval_max: arguments.endpoints.load_interval_max,
        probe_timeout: Duration::from_secs(2),
        snapshot: None,
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
