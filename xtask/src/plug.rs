//! The Python package: built, checked, and proved on real vLLM replicas that share a store.

use crate::{
    peers,
    shell::{self, build_onefill, cargo, command, in_ci, target},
};
use anyhow::{Context, Result};
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

/// The stories of tests/plug, in the order in which they are told.
const STORIES: [&str; 2] = ["tests/plug/client.py", "tests/plug/share.py"];

pub fn run() -> Result<()> {
    let (vllm, lmcache) = match peers::vllm().and_then(|vllm| Ok((vllm, peers::lmcache()?))) {
        Ok(peers) => peers,
        Err(error) if in_ci() => return Err(error.context("real peers may not be skipped in CI")),
        Err(error) => {
            println!("skipped: plug: {error:#}");
            return Ok(());
        }
    };
    let python = vllm.join("vllm/bin/python");
    lint()?;
    let site = site(&python)?;
    let unit = ["-m", "unittest", "discover", "-s", "python/tests"];
    shell::run(
        "Python tests",
        command(&python, &unit).env("PYTHONPATH", &site),
    )?;
    let onefill = build_onefill()?;
    let raw = example("raw")?;
    for story in STORIES {
        let mut told = command(&python, &["-u", story]);
        let told = told
            .env("ONEFILL_VLLM", &vllm)
            .env("ONEFILL_LMCACHE", &lmcache)
            .env("ONEFILL_BIN", &onefill)
            .env("ONEFILL_RAW", &raw)
            .env("ONEFILL_PLUG", &site);
        shell::run(story, told).context("logs are in the folder named above")?;
    }
    Ok(())
}

/// Builds the wheel; where it is.
pub fn wheel() -> Result<PathBuf> {
    let wheels = target().join("wheels");
    if wheels.exists() {
        fs::remove_dir_all(&wheels)?;
    }
    let maturin = peers::maturin()?.join("bin/maturin");
    let build = ["build", "--release", "-m", "python/Cargo.toml", "-o"];
    shell::run("wheel", command(maturin, &build).arg(&wheels))?;
    let mut built = fs::read_dir(&wheels)?.filter_map(Result::ok);
    let found = built.find(|entry| entry.path().extension() == Some(OsStr::new("whl")));
    Ok(found.context("maturin built no wheel")?.path())
}

/// Builds the package and installs it for `python`; the folder for `PYTHONPATH`.
pub fn site(python: &Path) -> Result<PathBuf> {
    install(python, &wheel()?)
}

/// Installs a wheel into a folder of its own: the peers stay as they are.
fn install(python: &Path, wheel: &Path) -> Result<PathBuf> {
    let site = target().join("plug");
    if site.exists() {
        fs::remove_dir_all(&site)?;
    }
    let pip = ["-m", "pip", "install", "-q", "--no-deps", "--target"];
    shell::run("install", command(python, &pip).arg(&site).arg(wheel))?;
    Ok(site)
}

fn lint() -> Result<()> {
    let manifest = ["--manifest-path", "python/Cargo.toml"];
    cargo(
        "format of python",
        &[&["fmt", "--check"], &manifest[..]].concat(),
    )?;
    let clippy = [
        &["clippy", "--quiet", "--release", "--all-targets"],
        &manifest[..],
    ];
    cargo(
        "clippy of python",
        &[&clippy.concat()[..], &["--", "-D", "warnings"]].concat(),
    )?;
    let ruff = peers::maturin()?.join("bin/ruff");
    let config = ["--config", "python/pyproject.toml", "python", "tests/plug"];
    for (what, words) in [
        ("ruff", &["check", "-q"][..]),
        ("ruff format", &["format", "--check", "-q"]),
    ] {
        shell::run(what, command(&ruff, words).args(config))?;
    }
    Ok(())
}

/// Builds an example of the Python package's crate; where it is.
fn example(name: &str) -> Result<PathBuf> {
    let manifest = ["--manifest-path", "python/Cargo.toml"];
    let build = ["build", "--quiet", "--release", "--example", name];
    cargo("raw client", &[&build[..], &manifest[..]].concat())?;
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || shell::root().join("python/target"),
        |dir| shell::root().join(dir),
    );
    Ok(folder.join("release/examples").join(name))
}
