//! `onefill store stat|ls|get|rm|pin|unpin|flush|verify`: asks a running store at its admin address.

mod http;

use crate::logs;
use anyhow::{Context as _, bail};
use http::Admin;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use onefill_store::written;
use serde_json::Value as Json;
use std::{
    io::{self, BufRead as _, BufReader, IsTerminal as _, Read as _, Write as _},
    path::PathBuf,
    process::ExitCode,
};

/// Where the store is, and what proves who asks.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct At {
    /// The store's admin address
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9180")]
    admin: String,
    /// File with the token that the store was started with (--admin-token-file)
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// A block.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Which {
    /// Its namespace, as `stat` names it
    namespace: String,
    /// Its key, as `ls` writes it
    key: String,
    #[command(flatten)]
    at: At,
}

/// What a running store is asked.
#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum Ask {
    /// What there is, in tiers and namespaces
    Stat {
        /// JSON, as the store says it
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        at: At,
    },
    /// Keys of a namespace's blocks in memory, and their bytes
    Ls {
        /// The namespace, as `stat` names it
        namespace: String,
        #[command(flatten)]
        at: At,
    },
    /// A block's bytes, on standard output or into a file
    Get {
        #[command(flatten)]
        which: Which,
        /// Where the bytes go
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Takes a block out of all tiers
    Rm(Which),
    /// Makes a block stay in memory
    Pin(Which),
    /// Lets a pinned block go again
    Unpin(Which),
    /// Takes out all that a namespace has, in all tiers
    Flush {
        /// The namespace, as `stat` names it
        namespace: String,
        /// Do it; without, nothing happens
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        at: At,
    },
    /// Reads every block in memory and on disk and checks its bytes; status 1 where any is damaged
    Verify {
        /// Only this namespace
        #[arg(long, value_name = "NAME")]
        namespace: Option<String>,
        #[command(flatten)]
        at: At,
    },
}

pub(crate) fn run(ask: &Ask) -> anyhow::Result<ExitCode> {
    match ask {
        Ask::Stat { json, at } => stat(&at.open()?, *json),
        Ask::Ls { namespace, at } => ls(&at.open()?, namespace),
        Ask::Get { which, output } => get(which, output.as_deref()),
        Ask::Rm(which) => about(which, "DELETE", "/block", "taken out"),
        Ask::Pin(which) => about(which, "POST", "/pin", "it stays"),
        Ask::Unpin(which) => about(which, "POST", "/unpin", "it may go"),
        Ask::Flush { yes: false, .. } => {
            bail!("flush takes every block of the namespace out of all tiers: say --yes to do it")
        }
        Ask::Flush { namespace, at, .. } => flush(&at.open()?, namespace),
        Ask::Verify { namespace, at } => verify(&at.open()?, namespace.as_deref()),
    }
}

impl At {
    fn open(&self) -> anyhow::Result<Admin> {
        let token = self.token_file.as_deref().map(super::file::secret_in);
        Ok(Admin {
            address: self.admin.clone(),
            token: token.transpose()?,
        })
    }
}

impl Which {
    /// The query that names it. The key is written as `ls` writes it, which is how it stands there.
    fn query(&self) -> String {
        format!(
            "namespace={}&key={}",
            written(self.namespace.as_bytes()),
            self.key
        )
    }
}

fn number(json: &Json, name: &str) -> u64 {
    json[name].as_u64().unwrap_or(0)
}

fn stat(admin: &Admin, as_json: bool) -> anyhow::Result<ExitCode> {
    let stat = admin.json("GET", "/stat")?;
    if as_json {
        logs::print(&format!("{stat}\n"));
        return Ok(ExitCode::SUCCESS);
    }
    let memory = &stat["memory"];
    let size = |json: &Json, name| HumanBytes(number(json, name));
    let mut text = format!(
        "memory  {} of {} used, {} blocks, {} promised, {} for records\n",
        size(memory, "used_bytes"),
        size(memory, "bytes"),
        HumanCount(number(memory, "blocks")),
        size(memory, "leased_bytes"),
        size(memory, "record_bytes"),
    );
    let disk = &stat["disk"];
    if !disk.is_null() {
        text += &format!(
            "disk    {} in {} blocks, {} wait, {} read back, {} corrupt\n",
            size(disk, "bytes"),
            HumanCount(number(disk, "blocks")),
            size(disk, "waiting_bytes"),
            HumanCount(number(disk, "hits")),
            number(disk, "corrupt"),
        );
    }
    let remote = &stat["remote"];
    if !remote.is_null() {
        text += &format!(
            "remote  {} written, {} there before, {} wait, {} read back, {} faults, {} corrupt{}\n",
            HumanCount(number(remote, "written")),
            HumanCount(number(remote, "known")),
            size(remote, "waiting_bytes"),
            HumanCount(number(remote, "hits")),
            number(remote, "faults"),
            number(remote, "corrupt"),
            if remote["left_alone"] == true {
                ", left alone after failures"
            } else {
                ""
            },
        );
    }
    text += &format!(
        "\n{:<40} {:>10} {:>12} {:>10} {:>8}\n",
        "namespace", "blocks", "bytes", "reads", "hits"
    );
    for namespace in stat["namespaces"].as_array().into_iter().flatten() {
        let hits = number(namespace, "hits");
        let reads = hits + number(namespace, "misses");
        let ratio = if reads == 0 {
            "-".to_owned()
        } else {
            format!("{:.1} %", hits as f64 * 100.0 / reads as f64)
        };
        text += &format!(
            "{:<40} {:>10} {:>12} {reads:>10} {ratio:>8}\n",
            namespace["name"].as_str().unwrap_or_default(),
            number(namespace, "blocks"),
            HumanBytes(number(namespace, "bytes")).to_string(),
        );
    }
    logs::print(&text);
    Ok(ExitCode::SUCCESS)
}

fn ls(admin: &Admin, namespace: &str) -> anyhow::Result<ExitCode> {
    let namespace = written(namespace.as_bytes());
    let mut cursor = 0;
    loop {
        let page = admin.json(
            "GET",
            &format!("/blocks?namespace={namespace}&cursor={cursor}"),
        )?;
        let mut text = String::new();
        for block in page["blocks"].as_array().into_iter().flatten() {
            let key = block["key"].as_str().unwrap_or_default();
            text += &format!("{:>12} {key}\n", number(block, "bytes"));
        }
        logs::print(&text);
        cursor = number(&page, "next");
        if cursor == 0 {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

fn get(which: &Which, output: Option<&std::path::Path>) -> anyhow::Result<ExitCode> {
    let admin = which.at.open()?;
    let mut answer = admin.ask("GET", &format!("/block?{}", which.query()))?;
    match output {
        Some(path) => {
            let mut file =
                std::fs::File::create(path).with_context(|| format!("{}", path.display()))?;
            io::copy(&mut answer, &mut file)?;
        }
        None => {
            let mut out = io::stdout().lock();
            io::copy(&mut answer, &mut out)?;
            out.flush()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Does something with one block, and says what came of it.
fn about(which: &Which, method: &str, path: &str, done: &str) -> anyhow::Result<ExitCode> {
    let admin = which.at.open()?;
    let said = admin.json(method, &format!("{path}?{}", which.query()))?;
    match said["bytes"].as_u64() {
        Some(bytes) => logs::say(format_args!("{done} ({})", HumanBytes(bytes))),
        None => {
            logs::say(format_args!("there is no such block in memory or on disk"));
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn flush(admin: &Admin, namespace: &str) -> anyhow::Result<ExitCode> {
    let path = format!("/flush?namespace={}", written(namespace.as_bytes()));
    let said = admin.json("POST", &path)?;
    let remote = said["remote_objects"].as_u64();
    let remote = remote.map_or_else(String::new, |count| {
        format!(", {count} objects of the remote")
    });
    logs::say(format_args!(
        "{} blocks{remote} are gone",
        number(&said, "blocks")
    ));
    Ok(ExitCode::SUCCESS)
}

fn verify(admin: &Admin, namespace: Option<&str>) -> anyhow::Result<ExitCode> {
    let only = namespace.map(|name| format!("?namespace={}", written(name.as_bytes())));
    let answer = admin.ask("POST", &format!("/verify{}", only.unwrap_or_default()))?;
    let bar = ProgressBar::new(0);
    if !io::stderr().is_terminal() {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    if let Ok(style) =
        ProgressStyle::with_template("{bar:40} {pos}/{len} blocks, {msg}, {eta} left")
    {
        bar.set_style(style);
    }
    let mut last = Json::Null;
    let mut lines = BufReader::new(answer.take(u64::MAX)).lines();
    while let Some(line) = lines.next().transpose()? {
        last = serde_json::from_str(&line).context("the store ended in the middle of it")?;
        bar.set_length(number(&last, "of"));
        bar.set_position(number(&last, "blocks"));
        bar.set_message(HumanBytes(number(&last, "bytes")).to_string());
    }
    bar.finish_and_clear();
    if last.is_null() || last["blocks"] != last["of"] {
        bail!("the store ended in the middle of it");
    }
    let corrupt = number(&last, "corrupt");
    logs::say(format_args!(
        "{} blocks read, {}: {corrupt} damaged{}",
        number(&last, "blocks"),
        HumanBytes(number(&last, "bytes")),
        if corrupt > 0 { ", and taken out" } else { "" },
    ));
    Ok(if corrupt > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
