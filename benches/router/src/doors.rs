//! The replicas and the doors in front of them, each a program on a free port.

use crate::{
    client::Connection,
    conversation::{Conversation, Vocabulary},
};
use anyhow::{Context, Result, bail};
use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::process::{Child, Command};

const REPLICAS: usize = 2;
/// How long a door may take until it passes a request on.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A replica itself.
    Direct,
    Prefix,
    Kv,
    Peer,
}

pub struct Door {
    pub name: &'static str,
    pub kind: Kind,
    pub port: u16,
    process: u32,
}

impl Door {
    /// CPU time of the program so far, in seconds: fields 14 and 15 of /proc/PID/stat.
    pub fn cpu_s(&self) -> f64 {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", self.process)).unwrap_or_default();
        let after = stat.rsplit(") ").next().unwrap_or_default();
        let ticks: f64 = after
            .split(' ')
            .skip(11)
            .take(2)
            .filter_map(|n| n.parse::<f64>().ok())
            .sum();
        ticks / rustix::param::clock_ticks_per_second() as f64
    }
}

/// All programs; they end with it.
pub struct Stand {
    pub doors: Vec<Door>,
    pub vocabulary: Vocabulary,
    _programs: Vec<Child>,
}

fn folder(name: &str) -> Result<PathBuf> {
    let value = std::env::var_os(name);
    Ok(value
        .with_context(|| format!("{name} is not set: run `cargo xtask bench router`"))?
        .into())
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn log_of(name: &str) -> PathBuf {
    let name = name.replace(' ', "-");
    std::env::temp_dir().join(format!("onefill-bench-{name}.log"))
}

/// Starts a program with these words; what it says goes into a file.
fn start(name: &str, program: PathBuf, words: &[String]) -> Result<Child> {
    let log = File::create(log_of(name))?;
    let mut command = Command::new(&program);
    if words.first().is_some_and(|word| word == "engine") {
        // Replicas run on other machines: here they shall not keep the doors waiting for a core.
        command.env("TOKIO_WORKER_THREADS", "1");
    }
    command
        .args(words)
        .env("RUST_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("starting {}", program.display()))
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

impl Stand {
    pub async fn start() -> Result<Self> {
        let (onefill, peers) = (folder("ONEFILL_BIN")?, folder("ONEFILL_PEERS")?.join("bin"));
        let tokenizer = folder("ONEFILL_TOKENIZER")?;
        let mut stand = Self {
            doors: Vec::new(),
            vocabulary: Vocabulary::read(&tokenizer)?,
            _programs: Vec::new(),
        };
        // Policy kv has replicas of its own, so that no other door pays for its event feeds.
        let urls = stand.replicas("direct", &onefill, &tokenizer).await?;
        let kv_urls = stand
            .replicas("direct, events", &onefill, &tokenizer)
            .await?;
        for (name, kind, policy, urls) in [
            ("onefill prefix", Kind::Prefix, "prefix".to_owned(), &urls),
            (
                "onefill kv",
                Kind::Kv,
                format!("kv --tokenizer {}", tokenizer.display()),
                &kv_urls,
            ),
        ] {
            let port = free_port()?;
            let replicas: String = urls.iter().map(|url| format!(" --replica {url}")).collect();
            let line = format!("router --listen 127.0.0.1:{port} --policy {policy}{replicas}");
            let program = start(name, onefill.clone(), &words(&line))?;
            stand.add(name, kind, port, program).await?;
        }
        for (name, line) in [
            ("smg", "launch --policy cache_aware --log-level warn"),
            ("vllm-router", "--policy cache_aware --log-level warning"),
        ] {
            let (port, spare) = (free_port()?, free_port()?);
            let line = format!(
                "{line} --host 127.0.0.1 --port {port} --prometheus-port {spare} --worker-urls {}",
                urls.join(" ")
            );
            let program = start(name, peers.join(name), &words(&line))?;
            stand.add(name, Kind::Peer, port, program).await?;
        }
        Ok(stand)
    }

    /// Starts simulated replicas that answer at once; the first is a door itself.
    async fn replicas(
        &mut self,
        name: &'static str,
        onefill: &Path,
        tokenizer: &Path,
    ) -> Result<Vec<String>> {
        let mut urls = Vec::new();
        for number in 0..REPLICAS {
            let (port, events, replay) = (free_port()?, free_port()?, free_port()?);
            let line = format!(
                "engine --listen 127.0.0.1:{port} --events tcp://*:{events} --replay tcp://*:{replay} \
                 --blocks 4096 --block-size 64 --prefix-caching-hash-algo xxhash_cbor --prefill-rate 0 \
                 --decode-rate 0 --tokenizer {}",
                tokenizer.display()
            );
            let log = format!("{name}-{number}");
            let program = start(&log, onefill.to_owned(), &words(&line))?;
            urls.push(format!("http://127.0.0.1:{port}"));
            if number == 0 {
                self.add(name, Kind::Direct, port, program).await?;
            } else {
                self._programs.push(program);
                self.ready(port).await.context("a replica")?;
            }
        }
        Ok(urls)
    }

    async fn add(
        &mut self,
        name: &'static str,
        kind: Kind,
        port: u16,
        program: Child,
    ) -> Result<()> {
        let process = program.id().context("a program that runs")?;
        self._programs.push(program);
        self.ready(port).await.with_context(|| {
            let log = log_of(name);
            format!("{name} does not pass requests on, see {}", log.display())
        })?;
        self.doors.push(Door {
            name,
            kind,
            port,
            process,
        });
        Ok(())
    }

    /// Waits until a request passes.
    async fn ready(&self, port: u16) -> Result<()> {
        let start = Instant::now();
        let mut last = None;
        while start.elapsed() < PATIENCE {
            let ask = async {
                let request = Conversation::new(&self.vocabulary, 1).request(port);
                Connection::open(port).await?.ask(&request).await
            };
            match ask.await {
                Ok(_) => return Ok(()),
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        match last {
            Some(error) => Err(error),
            None => bail!("no answer"),
        }
    }
}
