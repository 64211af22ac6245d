//! Benchmarks beside the peers, in one run each.

use crate::{
    peers,
    shell::{self, command, release_onefill, root},
};
use anyhow::{Result, bail};
use std::path::PathBuf;

/// A benchmark that is a Rust program of its own workspace, so that peers' crates stay out of ours.
fn cargo(name: &str, rest: &[&str], envs: &[(&str, PathBuf)]) -> Result<()> {
    let manifest = root().join("benches").join(name).join("Cargo.toml");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut bench = command(cargo, &["run", "--release", "--manifest-path"]);
    shell::run(
        &format!("bench {name}"),
        bench
            .envs(envs.iter().cloned())
            .arg(manifest)
            .arg("--")
            .args(rest),
    )
}

/// Runs the benchmark `name`.
pub fn run(name: &str, rest: &[&str]) -> Result<()> {
    match name {
        "index" | "policies" => cargo(name, rest, &[]),
        "router" => {
            let routers = peers::routers()?;
            let onefill = release_onefill()?;
            let tokenizer = root().join("crates/prompt/tests/data/tiny");
            cargo(
                name,
                rest,
                &[
                    ("ONEFILL_PEERS", routers),
                    ("ONEFILL_BIN", onefill),
                    ("ONEFILL_TOKENIZER", tokenizer),
                ],
            )
        }
        "fleet" => {
            let peer = peers::vllm()?;
            let routers = peers::routers()?;
            let onefill = release_onefill()?;
            let mut bench = command(peer.join("vllm/bin/python"), &["benches/fleet/fleet.py"]);
            bench
                .env("ONEFILL_VLLM", &peer)
                .env("ONEFILL_PEERS", routers);
            shell::run("bench fleet", bench.env("ONEFILL_BIN", onefill).args(rest))
        }
        "picker" => {
            let envoy = peers::envoy()?;
            let onefill = release_onefill()?;
            let mut bench = command("python3", &["-B", "-u", "benches/picker/picker.py"]);
            bench
                .env("ONEFILL_ENVOY", envoy)
                .env("ONEFILL_BIN", onefill);
            shell::run("bench picker", bench.args(rest))
        }
        "store" => {
            peers::fio()?;
            if rest.contains(&"disk") {
                return cargo(name, rest, &[]);
            }
            peers::redis()?;
            let peer = peers::lmcache()?;
            let onefill = release_onefill()?;
            let envs = [("ONEFILL_LMCACHE", peer), ("ONEFILL_BIN", onefill)];
            cargo(name, rest, &envs)
        }
        "chaos" => chaos(rest),
        _ => bail!(
            "no benchmark {name:?}: there are index, policies, router, fleet, store, picker, chaos"
        ),
    }
}

/// The chaos test of every run, for ten minutes or so many seconds.
fn chaos(rest: &[&str]) -> Result<()> {
    let seconds = rest.first().copied().unwrap_or("600");
    let test = [
        "test",
        "--profile",
        "fast",
        "-p",
        "onefill",
        "--test",
        "chaos",
    ];
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut run = command(cargo, &test);
    run.args(["--", "--nocapture"])
        .env("ONEFILL_CHAOS_SECONDS", seconds);
    shell::run("chaos", &mut run)
}
