//! Flags, which stand over the file. They are texts here, so that every fault is named at once.

use super::{
    Faults, Replicas, Settings,
    settings::{address, dns, policy, url},
};
use onefill_fleet::{FeedPorts, ReplicaSpec};
use std::path::PathBuf;

/// What may be said on the command line.
#[derive(Clone, PartialEq, Eq, Debug, Default, clap::Args)]
pub struct Flags {
    /// Address for clients [default: 127.0.0.1:8080]
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Address for people and monitoring (/metrics, /debug); else they are on --listen
    #[arg(long, value_name = "HOST:PORT")]
    pub admin: Option<String>,
    /// kv, prefix, session, least-load or round-robin [default: kv]
    #[arg(long, value_name = "NAME")]
    pub policy: Option<String>,
    /// A replica; may be given often
    #[arg(long, value_name = "URL")]
    pub replica: Vec<String>,
    /// A file of replicas, read again when it changes
    #[arg(long, value_name = "FILE")]
    pub replicas_file: Option<PathBuf>,
    /// A (headless) service whose addresses are the replicas
    #[arg(long, value_name = "NAME:PORT")]
    pub dns: Option<String>,
    /// Port of the events of those replicas [default: each is asked]
    #[arg(long, value_name = "PORT", requires = "dns")]
    pub dns_events_port: Option<u16>,
    /// Port of old events of those replicas [default: each is asked]
    #[arg(long, value_name = "PORT", requires = "dns_events_port")]
    pub dns_replay_port: Option<u16>,
    /// Label selector of the pods that are the replicas
    #[arg(long, value_name = "SELECTOR")]
    pub kubernetes_selector: Option<String>,
    /// Namespace of those pods [default: the router's own]
    #[arg(long, value_name = "NAME", requires = "kubernetes_selector")]
    pub kubernetes_namespace: Option<String>,
    /// Port of those replicas [default: the first of each pod]
    #[arg(long, value_name = "PORT", requires = "kubernetes_selector")]
    pub kubernetes_port: Option<u16>,
    /// Folder with tokenizer.json (and a chat template), or `simulated`; else replicas are asked
    #[arg(long, value_name = "FOLDER")]
    pub tokenizer: Option<String>,
    /// Don't subscribe to replicas' KV events
    #[arg(long)]
    pub no_events: bool,
    /// Key that clients must show; may be given often (better: api_keys in the file)
    #[arg(long, value_name = "KEY")]
    pub api_key: Vec<String>,
    /// Certificate chain towards clients, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
    /// Authorities of https:// replicas, PEM [default: the machine's]
    #[arg(long, value_name = "FILE")]
    pub upstream_authorities: Option<PathBuf>,
    /// File that keeps the index between two runs: a router that starts anew knows the replicas' caches
    #[arg(long, value_name = "FILE")]
    pub snapshot: Option<PathBuf>,
    /// Folder for a record of requests, without a word of them (docs/record.md)
    #[arg(long, value_name = "FOLDER")]
    pub record: Option<PathBuf>,
    /// Serving threads [default: as many as cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

impl Flags {
    /// Puts what was said over `settings`, and checks what they come to together.
    pub fn over(&self, settings: &mut Settings, faults: &mut Faults) {
        let mut text = |flag: &str, value: &Option<String>, to: &mut String| {
            if let Some(value) = value
                && let Some(checked) = faults.keep(flag, address(value))
            {
                *to = checked;
            }
        };
        text("--listen", &self.listen, &mut settings.listen);
        let mut admin = settings.admin.take().unwrap_or_default();
        text("--admin", &self.admin, &mut admin);
        settings.admin = (!admin.is_empty()).then_some(admin);
        if let Some(name) = &self.policy
            && let Some(policy) = faults.keep("--policy", policy(name))
        {
            settings.policy = policy;
        }
        settings.events &= !self.no_events;
        settings.api_keys.extend(self.api_key.iter().cloned());
        if let (Some(certificate), Some(key)) = (&self.tls_certificate, &self.tls_key) {
            settings.tls = Some((certificate.clone(), key.clone()));
        }
        over(&mut settings.tokenizer, self.tokenizer.as_ref());
        over(
            &mut settings.upstream_authorities,
            self.upstream_authorities.as_ref(),
        );
        over(&mut settings.record, self.record.as_ref());
        over(
            &mut settings.threads,
            self.threads.filter(|threads| *threads > 0).as_ref(),
        );
        over(&mut settings.snapshot, self.snapshot.as_ref());
        self.replicas(settings, faults);
    }

    fn replicas(&self, settings: &mut Settings, faults: &mut Faults) {
        let mut found = Vec::new();
        found.extend(self.replicas_file.clone().map(Replicas::File));
        if let Some(text) = &self.dns {
            let feeds = FeedPorts {
                events: self.dns_events_port,
                replay: self.dns_replay_port,
            };
            let named = faults.keep("--dns", dns(text));
            found.extend(named.map(|(name, port)| Replicas::Dns(name, port, feeds)));
        }
        found.extend(self.kubernetes_selector.clone().map(|selector| {
            Replicas::Kubernetes(
                self.kubernetes_namespace.clone(),
                selector,
                self.kubernetes_port,
            )
        }));
        let given = self.given(settings, faults);
        if !self.replica.is_empty() {
            found.push(Replicas::Static(given));
        }
        if found.len() > 1 {
            faults.add(
                "--replica, --replicas-file, --dns, --kubernetes-selector",
                "replicas come from one place: choose one",
            );
        }
        if let Some(replicas) = found.pop() {
            settings.replicas = replicas;
        }
        let nobody = matches!(&settings.replicas, Replicas::Static(specs) if specs.is_empty());
        if nobody && faults.0.is_empty() {
            faults.add(
                "--replica",
                "no replicas: give --replica URL, or [[replica]] in the file",
            );
        }
    }

    /// The replicas of flags; what the file says of one with the same address stays true.
    fn given(&self, settings: &Settings, faults: &mut Faults) -> Vec<ReplicaSpec> {
        let known: &[ReplicaSpec] = match &settings.replicas {
            Replicas::Static(specs) => specs,
            _ => &[],
        };
        let spec = |url: String| {
            let known = known.iter().find(|spec| spec.url == url).cloned();
            known.unwrap_or_else(|| ReplicaSpec {
                url,
                ..ReplicaSpec::default()
            })
        };
        let urls = self
            .replica
            .iter()
            .filter_map(|text| faults.keep("--replica", url(text)));
        urls.map(spec).collect()
    }
}

fn over<T: Clone>(to: &mut Option<T>, value: Option<&T>) {
    if value.is_some() {
        *to = value.cloned();
    }
}
