//! What a configuration comes to.

use onefill_fleet::{Discovery, FeedPorts, FleetConfig, ReplicaSpec};
use onefill_kv::KeySeed;
use onefill_router::{CircuitLimits, Limits, Timeouts};
use onefill_schedule::Policy;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// Where replicas come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Replicas {
    /// Given ones.
    Static(Vec<ReplicaSpec>),
    /// A watched file.
    File(PathBuf),
    /// A name, the port, and those of event feeds.
    Dns(String, u16, FeedPorts),
    /// Pods: namespace, selector, port.
    Kubernetes(Option<String>, String, Option<u16>),
}

/// Everything that `onefill router` can be told.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// Address for clients, `HOST:PORT`.
    pub listen: String,
    /// Address for people and monitoring.
    pub admin: Option<String>,
    /// How replicas are chosen.
    pub policy: Policy,
    /// Where they come from.
    pub replicas: Replicas,
    /// Whether event feeds are subscribed to.
    pub events: bool,
    /// Tokenizer folder (or `simulated`) of all models that `tokenizers` does not name.
    pub tokenizer: Option<String>,
    /// By model.
    pub tokenizers: BTreeMap<String, String>,
    /// Secret of block keys; `None`: a new one at each start.
    pub key_seed: Option<u64>,
    /// Keys that clients must show.
    pub api_keys: Vec<String>,
    /// Certificate chain and key, PEM.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Authorities that `https://` replicas' certificates must come from, PEM.
    pub upstream_authorities: Option<PathBuf>,
    /// Serving threads; `None`: as many as cores.
    pub threads: Option<usize>,
    /// Folder of the record of requests; `None`: none is made.
    pub record: Option<PathBuf>,
    /// Bytes of the record: the oldest part leaves.
    pub record_bytes: u64,
    /// Memory for the index.
    pub index_memory_bytes: usize,
    /// Longest time between two readings of a replica's load.
    pub load_interval_max: Duration,
    /// Time after which a probe has failed.
    pub probe_timeout: Duration,
    /// File that keeps the index from one run to the next.
    pub snapshot: Option<PathBuf>,
    /// Bounds in numbers and bytes.
    pub limits: Limits,
    /// Bounds in time.
    pub timeouts: Timeouts,
    /// When a replica is left alone.
    pub circuit: CircuitLimits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            admin: None,
            policy: Policy::Kv,
            replicas: Replicas::Static(Vec::new()),
            events: true,
            tokenizer: None,
            tokenizers: BTreeMap::new(),
            key_seed: None,
            api_keys: Vec::new(),
            tls: None,
            upstream_authorities: None,
            threads: None,
            record: None,
            record_bytes: 1 << 30,
            index_memory_bytes: 1 << 30,
            load_interval_max: Duration::from_secs(5),
            probe_timeout: Duration::from_secs(2),
            snapshot: None,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            circuit: CircuitLimits::default(),
        }
    }
}

impl Settings {
    /// How the fleet is watched.
    pub(crate) fn fleet(&self, seed: KeySeed) -> FleetConfig {
        FleetConfig {
            discovery: match self.replicas.clone() {
                Replicas::Static(replicas) => Discovery::Static(replicas),
                Replicas::File(path) => Discovery::File(path),
                Replicas::Dns(name, port, feeds) => Discovery::Dns { name, port, feeds },
                Replicas::Kubernetes(namespace, selector, port) => Discovery::Kubernetes {
                    namespace,
                    selector,
                    port,
                },
            },
            seed,
            // No other policy looks into the index.
            events: self.events && self.policy == Policy::Kv,
            index_memory_bytes: self.index_memory_bytes,
            load_interval_max: self.load_interval_max,
            probe_timeout: self.probe_timeout,
            snapshot: self.snapshot.clone(),
        }
    }
}

/// `HOST:PORT`.
pub(super) fn address(text: &str) -> Result<String, String> {
    let port = text
        .rsplit_once(':')
        .filter(|(host, _)| !host.is_empty())
        .map(|(_, port)| port);
    match port.map(str::parse::<u16>) {
        Some(Ok(_)) => Ok(text.to_owned()),
        _ => Err(format!("`{text}` is no address: expected HOST:PORT")),
    }
}

/// `http://HOST:PORT` or https, without a path.
pub(super) fn url(text: &str) -> Result<String, String> {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    let host = rest.map(|rest| rest.trim_end_matches('/'));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '#', ' ']) => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err(format!(
            "`{text}` is no replica: expected http://HOST:PORT or https://HOST:PORT"
        )),
    }
}

/// `tcp://HOST:PORT`.
pub(super) fn endpoint(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("tcp://").ok_or(());
    match host.map(address) {
        Ok(Ok(_)) => Ok(text.to_owned()),
        _ => Err(format!(
            "`{text}` is no event endpoint: expected tcp://HOST:PORT"
        )),
    }
}

/// A policy's name.
pub(super) fn policy(text: &str) -> Result<Policy, String> {
    let names = Policy::ALL.map(Policy::name).join(", ");
    let found = Policy::ALL.into_iter().find(|policy| policy.name() == text);
    found.ok_or_else(|| format!("`{text}` is no policy: expected one of {names}"))
}

/// `NAME:PORT` of a service.
pub(super) fn dns(text: &str) -> Result<(String, u16), String> {
    let fault = || format!("`{text}` is no name of a service: expected NAME:PORT");
    let (name, port) = text.rsplit_once(':').ok_or_else(fault)?;
    Ok((name.to_owned(), port.parse().map_err(|_| fault())?))
}
