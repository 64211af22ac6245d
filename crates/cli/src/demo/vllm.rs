//! Real vLLM replicas on CPU, as `cargo xtask vllm` installs them.

use super::{client::Client, router::Fleet};
use anyhow::{Context as _, bail, ensure};
use http::Method;
use onefill_prompt::Prompter;
use serde_json::json;
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

const REPLICAS: usize = 2;
/// Blocks of each cache; vLLM's CPU attention takes blocks of 32 tokens and multiples of it.
const BLOCKS: u32 = 200;
const BLOCK_TOKENS: u32 = 32;
/// How long a replica may take to start: half a minute when its sources are compiled, else more.
const START_MAX: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(500);
/// How long a replica may take to end by itself.
const END_MAX: Duration = Duration::from_secs(10);

/// A replica's process. Ended when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        // Asked first, so that its own children end as well.
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        let end = Instant::now() + END_MAX;
        while asked.is_ok() && Instant::now() < end {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Starts them and waits until both answer.
pub(crate) async fn start() -> anyhow::Result<Fleet> {
    let folder = folder()?;
    let prompter = Prompter::load(&folder.join("tinymodel"))?;
    let logs = std::env::temp_dir();
    let mut fleet = Fleet {
        urls: Vec::new(),
        model: "tiny".into(),
        prompter: Arc::new(prompter),
        _stop: None,
        processes: Vec::new(),
    };
    for number in 0..REPLICAS {
        let log = logs.join(format!("onefill-demo-vllm-{number}.log"));
        let ports = free_ports()?;
        fleet.urls.push(format!("http://127.0.0.1:{}", ports[0]));
        fleet.processes.push(spawn(&folder, ports, log)?);
    }
    let client = Client::new();
    for (url, process) in fleet.urls.iter().zip(&mut fleet.processes) {
        process.ready(&client, url).await?;
    }
    warm(&client, &fleet).await?;
    Ok(fleet)
}

/// Empties the caches; the clear is told with the next request.
pub(crate) async fn reset(fleet: &Fleet) -> anyhow::Result<()> {
    let client = Client::new();
    for url in &fleet.urls {
        client
            .ask(Method::POST, &format!("{url}/reset_prefix_cache"))
            .await?;
    }
    warm(&client, fleet).await
}

/// One prompt each, so that the first request that counts is like any other.
async fn warm(client: &Client, fleet: &Fleet) -> anyhow::Result<()> {
    let text = "warm up ".repeat(20);
    let body = json!({
        "model": fleet.model, "messages": [{"role": "user", "content": text}], "max_tokens": 2,
        "stream": true, "stream_options": {"include_usage": true},
    });
    for url in &fleet.urls {
        client.chat(url, &body).await?;
    }
    Ok(())
}

fn folder() -> anyhow::Result<PathBuf> {
    const REMEDY: &str = "install vLLM for CPU with `cargo xtask vllm` (3 GB on disk) and set \
                          ONEFILL_VLLM to the folder that it names";
    let folder = std::env::var_os("ONEFILL_VLLM").map(PathBuf::from);
    let folder = folder.with_context(|| format!("ONEFILL_VLLM is not set: {REMEDY}"))?;
    for part in ["vllm/bin/vllm", "tinymodel/tokenizer.json"] {
        let path = folder.join(part);
        ensure!(path.exists(), "{} is not there: {REMEDY}", path.display());
    }
    Ok(folder)
}

/// For answers, events and replays. Bound and let go: another program could take one before vLLM
/// does, which then fails and says so.
fn free_ports() -> anyhow::Result<[u16; 3]> {
    let bind = || TcpListener::bind("127.0.0.1:0");
    let held = [bind()?, bind()?, bind()?];
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

fn spawn(folder: &Path, [port, events, replay]: [u16; 3], log: PathBuf) -> anyhow::Result<Process> {
    let events = json!({
        "enable_kv_cache_events": true,
        "publisher": "zmq",
        "endpoint": format!("tcp://*:{events}"),
        "replay_endpoint": format!("tcp://*:{replay}"),
        "topic": "kv",
    });
    let out = std::fs::File::create(&log)
        .with_context(|| format!("can't write a log to {}", log.display()))?;
    let mut command = Command::new(folder.join("vllm/bin/vllm"));
    command.arg("serve").arg(folder.join("tinymodel"));
    command.args(["--served-model-name", "tiny", "--host", "127.0.0.1"]);
    command.args(["--port", &port.to_string(), "--enforce-eager"]);
    command.args(["--max-model-len", "4096", "--max-num-seqs", "8"]);
    command.args(["--block-size", &BLOCK_TOKENS.to_string()]);
    command.args(["--num-gpu-blocks-override", &BLOCKS.to_string()]);
    command.arg("--enable-prompt-tokens-details");
    command.args(["--kv-events-config", &events.to_string()]);
    let environment = [
        ("HF_HUB_OFFLINE", "1"),
        ("TRANSFORMERS_OFFLINE", "1"),
        ("VLLM_NO_USAGE_STATS", "1"),
        ("DO_NOT_TRACK", "1"),
        ("VLLM_CPU_KVCACHE_SPACE", "1"),
        ("VLLM_CPU_OMP_THREADS_BIND", "nobind"),
        ("OMP_NUM_THREADS", "1"),
        ("VLLM_HOST_IP", "127.0.0.1"),
        ("VLLM_SERVER_DEV_MODE", "1"), // /reset_prefix_cache
    ];
    command.envs(environment);
    // Sources compiled once make every later start half a minute shorter.
    command.env_remove("PYTHONDONTWRITEBYTECODE");
    command.stdin(Stdio::null());
    command.stdout(out.try_clone()?).stderr(out);
    let child = command.spawn().context("vLLM can't be started")?;
    Ok(Process { child, log })
}

impl Process {
    async fn ready(&mut self, client: &Client, url: &str) -> anyhow::Result<()> {
        let health = format!("{url}/health");
        let end = Instant::now() + START_MAX;
        while client.ask(Method::GET, &health).await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("vLLM ended ({status}); its log: {}", self.log.display());
            }
            ensure!(
                Instant::now() < end,
                "vLLM does not answer; its log: {}",
                self.log.display()
            );
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}
