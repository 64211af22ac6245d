//! Flags of `onefill picker`.

use super::passed::Passed;
use crate::logs::LogFormat;
use clap::{ArgAction, ValueEnum};
use onefill_picker::{Limits, time, tls::Lowest};
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// Flags of `onefill picker`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(super) ports: Ports,
    #[command(flatten)]
    pub(super) tls: Tls,
    #[command(flatten)]
    pub(super) endpoints: Endpoints,
    #[command(flatten)]
    pub(super) picks: Picks,
    #[command(flatten)]
    pub(super) passed: Passed,
    /// How long requests are still taken after SIGTERM
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time::parse)]
    pub(super) drain_timeout: Duration,
    /// text or json
    #[arg(long, value_enum, default_value_t)]
    pub(super) log_format: LogFormat,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Ports")]
pub(super) struct Ports {
    /// Address that the ports are on
    #[arg(long, value_name = "IP", default_value = "0.0.0.0")]
    pub(super) bind: IpAddr,
    /// ext_proc, and health too
    #[arg(long, value_name = "PORT", default_value_t = 9002)]
    pub(super) grpc_port: u16,
    /// Health alone, without TLS
    #[arg(long, value_name = "PORT", default_value_t = 9003)]
    pub(super) grpc_health_port: u16,
    /// /metrics and /debug/fleet
    #[arg(long, value_name = "PORT", default_value_t = 9090)]
    pub(super) metrics_port: u16,
    /// Metrics under the reference's older names too
    #[arg(long)]
    pub(super) old_metric_names: bool,
    /// Health is always served on the ext_proc port too: taken and passed over
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = true, default_missing_value = "true", action = ArgAction::Set)]
    pub(super) health_checking: bool,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "TLS")]
pub(super) struct Tls {
    /// TLS towards Envoy, with a certificate made at the start unless --cert-path names one
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = true, default_missing_value = "true", action = ArgAction::Set)]
    pub(super) secure_serving: bool,
    /// Folder with tls.crt and tls.key
    #[arg(long, value_name = "FOLDER")]
    pub(super) cert_path: Option<PathBuf>,
    /// Read them again when they change
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    pub(super) enable_cert_reload: bool,
    /// Lowest version
    #[arg(long, value_enum, default_value_t)]
    pub(super) tls_min_version: Version,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum Version {
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
pub(super) struct Endpoints {
    /// Name of the InferencePool whose pods are the endpoints
    #[arg(long, value_name = "NAME")]
    pub(super) pool_name: Option<String>,
    /// Namespace of the pool, or of the selected pods [default: $NAMESPACE, else default]
    #[arg(long, value_name = "NAME")]
    pub(super) pool_namespace: Option<String>,
    /// API group of the pool
    #[arg(
        long,
        value_name = "GROUP",
        default_value = "inference.networking.k8s.io"
    )]
    pub(super) pool_group: String,
    /// Labels of the pods that are the endpoints, in place of a pool
    #[arg(long, value_name = "KEY=VALUE,..", value_delimiter = ',', value_parser = label,
          requires = "endpoint_target_ports")]
    pub(super) endpoint_selector: Vec<(String, String)>,
    /// Their ports, at most 8
    #[arg(long, value_name = "PORT,..", value_delimiter = ',', num_args = 1..=8)]
    pub(super) endpoint_target_ports: Vec<u16>,
    /// A file of endpoints as `file-discovery` reads it, read again when it changes
    #[arg(long, value_name = "FILE")]
    pub(super) endpoints_file: Option<PathBuf>,
    /// An endpoint of the pool; may be given often
    #[arg(long, value_name = "IP:PORT")]
    pub(super) endpoint: Vec<SocketAddr>,
    /// A file of replicas as `onefill router` reads it, read again when it changes
    #[arg(long, value_name = "FILE")]
    pub(super) replicas_file: Option<PathBuf>,
    /// A (headless) service whose addresses are the endpoints
    #[arg(long, value_name = "NAME:PORT", value_parser = name_and_port)]
    pub(super) dns: Option<(String, u16)>,
    /// Port of a pod's events, or a name's; each rank's is one further [default: each is asked]
    #[arg(long, value_name = "PORT")]
    pub(super) events_port: Option<u16>,
    /// Port of old events [default: each is asked]
    #[arg(long, value_name = "PORT", requires = "events_port")]
    pub(super) replay_port: Option<u16>,
    /// Don't subscribe to endpoints' KV events
    #[arg(long)]
    pub(super) no_events: bool,
    /// Longest time between two readings of an endpoint's load
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time::parse)]
    pub(super) load_interval_max: Duration,
    /// Memory for the index of blocks
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30)]
    pub(super) index_memory_bytes: usize,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Picks")]
pub(super) struct Picks {
    /// EndpointPickerConfig, in a file; without one endpoints are chosen by their cost in seconds
    #[arg(long, value_name = "FILE", conflicts_with = "config_text")]
    pub(super) config_file: Option<PathBuf>,
    /// EndpointPickerConfig, as text
    #[arg(long, value_name = "TEXT")]
    pub(super) config_text: Option<String>,
    /// Priority of an objective's requests; under 0 they may be shed. May be given often
    #[arg(long, value_name = "NAME=NUMBER", value_parser = objective)]
    pub(super) objective: Vec<(String, i32)>,
    /// Folder with tokenizer.json (and a chat template), or `simulated`; without one endpoints are
    /// asked for the tokens of each prompt
    #[arg(long, value_name = "FOLDER")]
    pub(super) tokenizer: Option<String>,
    /// Endpoints told for one request, the best first; more than one needs `override_host`
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) destinations: usize,
    /// Pass over subset hints
    #[arg(long, num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    pub(super) disable_endpoint_subset_filter: bool,
    /// Put each endpoint's score into the metadata
    #[arg(long, num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    pub(super) emit_endpoint_scores: bool,
    /// The reference's status codes where its own specification says otherwise
    #[arg(long)]
    pub(super) reference_codes: bool,
    /// End each stream once it is known where its request goes: answers don't come by
    #[arg(long)]
    pub(super) no_response_processing: bool,
    /// Largest request body
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().body_bytes_max)]
    pub(super) body_bytes_max: usize,
    /// Largest message of Envoy's; a buffered body is one message
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().message_bytes_max)]
    pub(super) grpc_max_recv_msg_size: usize,
}

fn label(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=');
    let parsed = parts.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
    parsed.ok_or_else(|| format!("`{text}` is no label: expected KEY=VALUE"))
}

fn objective(text: &str) -> Result<(String, i32), String> {
    let parts = text.rsplit_once('=');
    let parsed = parts.and_then(|(name, number)| Some((name.to_owned(), number.parse().ok()?)));
    parsed.ok_or_else(|| format!("`{text}` is no objective: expected NAME=NUMBER"))
}

fn name_and_port(text: &str) -> Result<(String, u16), String> {
    let parts = text.rsplit_once(':');
    let parsed = parts.and_then(|(name, port)| Some((name.to_owned(), port.parse().ok()?)));
    parsed.ok_or_else(|| format!("`{text}` is no name of a service: expected NAME:PORT"))
}
