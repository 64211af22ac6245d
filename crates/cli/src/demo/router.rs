//! A router in this process, in front of some replicas.

use super::{client::Client, vllm::Process};
use crate::config::Settings;
use anyhow::{Context as _, bail};
use http::Method;
use onefill_fleet::{Discovery, FleetConfig, ReplicaSpec};
use onefill_kv::KeySeed;
use onefill_prompt::Prompter;
use onefill_record::Recorder;
use onefill_router::{Config, Listeners, RunError, Tokenizers};
use onefill_schedule::Policy;
use serde_json::Value as Json;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long replicas may take until each is known exactly.
const READY_MAX: Duration = Duration::from_secs(20);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Replicas. Those of this process, and processes of ours, end with it.
pub(crate) struct Fleet {
    pub(crate) urls: Vec<String>,
    /// What requests name.
    pub(crate) model: String,
    pub(crate) prompter: Arc<Prompter>,
    pub(crate) _stop: Option<DropGuard>,
    pub(crate) processes: Vec<Process>,
}

impl Fleet {
    /// The same replicas, to be used once more; they end with the original.
    pub(crate) fn share(&self) -> Self {
        Self {
            urls: self.urls.clone(),
            model: self.model.clone(),
            prompter: Arc::clone(&self.prompter),
            _stop: None,
            processes: Vec::new(),
        }
    }
}

/// A running router.
pub(crate) struct Door {
    pub(crate) url: String,
    pub(crate) admin: String,
    stop: CancellationToken,
    running: JoinHandle<Result<(), RunError>>,
    record: Option<Recorder>,
    _fleet: DropGuard,
}

impl Door {
    /// Starts a router, which records into `folder`, and waits until it knows all replicas.
    pub(crate) async fn open(
        policy: Policy,
        fleet: &Fleet,
        folder: Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        let main = TcpListener::bind("127.0.0.1:0").await?;
        let admin = TcpListener::bind("127.0.0.1:0").await?;
        let urls = [main.local_addr()?, admin.local_addr()?].map(|at| format!("http://{at}"));
        let mut config = Config::new(policy, KeySeed(0));
        config.tokenizers = Tokenizers {
            default: Some(Arc::clone(&fleet.prompter)),
            ..Tokenizers::default()
        };
        config.timeouts.drain = Duration::from_secs(1);
        config.record = folder.map(|folder| recorder(policy, folder)).transpose()?;
        let record = config.record.clone();
        let (stop, fleet_end) = (CancellationToken::new(), CancellationToken::new());
        let handle = onefill_fleet::start(watching(fleet, config.seed), fleet_end.clone());
        let listeners = Listeners {
            main,
            admin: Some(admin),
        };
        let running = onefill_router::run(listeners, config, handle, stop.clone());
        let [url, admin] = urls;
        let door = Self {
            url,
            admin,
            stop,
            running: tokio::spawn(running),
            record,
            _fleet: fleet_end.drop_guard(),
        };
        door.ready(fleet.urls.len()).await?;
        Ok(door)
    }

    /// Waits until all replicas are up and their caches known exactly.
    async fn ready(&self, replicas: usize) -> anyhow::Result<()> {
        let client = Client::new();
        let page = format!("{}/debug/fleet", self.admin);
        let mut why = String::new();
        let looking = async {
            loop {
                let page = client.ask(Method::GET, &page).await?;
                let page: Json = serde_json::from_slice(&page)?;
                let all = page["replicas"].as_array().cloned().unwrap_or_default();
                let exact = all.iter().filter(|one| one["knowledge"] == "exact").count();
                if exact == replicas {
                    return anyhow::Ok(());
                }
                why = all
                    .iter()
                    .map(|one| format!("\n  {}: {}", one["url"], one["why"]))
                    .collect();
                tokio::time::sleep(LOOK).await;
            }
        };
        match tokio::time::timeout(READY_MAX, looking).await {
            Ok(looked) => looked.context("the router does not answer"),
            Err(_) => bail!("the router does not know all replicas:{why}"),
        }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if let Ok(Err(error)) = self.running.await {
            tracing::warn!(%error, "the router failed");
        }
        if let Some(record) = self.record {
            _ = tokio::task::spawn_blocking(move || record.flush()).await; // it only waits
        }
    }
}

fn recorder(policy: Policy, folder: PathBuf) -> anyhow::Result<Recorder> {
    let config = onefill_record::Config {
        folder,
        bytes_max: 1 << 30,
        seed: KeySeed(0),
        policy: policy.name(),
    };
    Ok(Recorder::start(config)?)
}

fn watching(fleet: &Fleet, seed: KeySeed) -> FleetConfig {
    let spec = |url: &String| ReplicaSpec {
        url: url.clone(),
        ..ReplicaSpec::default()
    };
    FleetConfig {
        discovery: Discovery::Static(fleet.urls.iter().map(spec).collect()),
        ..Settings::default().fleet(seed)
    }
}
