//! All tests: ours, the law of the house, and the stories with real peers.

use crate::{
    peers,
    shell::{self, build_onefill, cargo, command, in_ci, root},
};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// A part of the tests: its name, and what runs it.
type Part = (&'static str, fn() -> Result<()>);

const PARTS: [&str; 9] = [
    "lint", "rust", "law", "licences", "intend", "store", "vllm", "plug", "pick",
];
/// Those that need real peers.
const PEERS: [&str; 5] = ["intend", "store", "vllm", "plug", "pick"];

/// Runs the parts named in `words`, all where none is named; `--fast` leaves real peers out.
pub fn run(words: &[&str]) -> Result<()> {
    let fast = words.contains(&"--fast");
    let named: Vec<&str> = words
        .iter()
        .copied()
        .filter(|word| *word != "--fast")
        .collect();
    if let Some(unknown) = named.iter().find(|word| !PARTS.contains(word)) {
        bail!(
            "no part {unknown:?} of the tests: there are {}",
            PARTS.join(", ")
        );
    }
    let wanted = |part: &str| named.is_empty() || named.contains(&part);
    let steps: [Part; 9] = [
        ("lint", lint),
        ("law", law),
        ("licences", licences),
        ("rust", rust),
        ("intend", intend),
        ("store", store),
        ("vllm", vllm),
        ("plug", crate::plug::run),
        ("pick", pick),
    ];
    let mut failed = Vec::new();
    let mut passed = 0;
    for (part, step) in steps {
        if !wanted(part) {
            continue;
        }
        if fast && PEERS.contains(&part) {
            println!("skipped: {part}: --fast leaves real peers out");
            continue;
        }
        match step() {
            Ok(()) => passed += 1,
            Err(error) => {
                eprintln!("xtask: {part}: {error:#}");
                failed.push(part);
            }
        }
    }
    println!("parts: {passed} passed, {} failed", failed.len());
    if failed.is_empty() {
        Ok(())
    } else {
        bail!("failed: {}", failed.join(", "))
    }
}

fn lint() -> Result<()> {
    cargo("format", &["fmt", "--all", "--check"])?;
    cargo(
        "clippy",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ],
    )
}

fn rust() -> Result<()> {
    let nextest = command("cargo", &["nextest", "--version"]).output();
    if nextest.is_ok_and(|output| output.status.success()) {
        cargo(
            "tests",
            &["nextest", "run", "--workspace", "--no-fail-fast"],
        )?;
        return cargo("doc tests", &["test", "--workspace", "--doc", "--quiet"]);
    }
    cargo(
        "tests",
        &["test", "--workspace", "--quiet", "--no-fail-fast"],
    )
}

/// The law of dependencies of ARCHITECTURE.md, read from `cargo metadata`.
fn law() -> Result<()> {
    let mut faults = crate::law::faults(&metadata(&["--no-deps"])?);
    for source in sources(&root().join("crates"))? {
        let name = source.strip_prefix(root()).unwrap_or(&source);
        let text = std::fs::read_to_string(&source)?;
        faults.extend(crate::law::impurities(&name.to_string_lossy(), &text));
    }
    none_of(&faults, "dependencies break the law")
}

/// Licences of everything built in, against deny.toml.
fn licences() -> Result<()> {
    let allowed = crate::licences::allowed(&std::fs::read_to_string(root().join("deny.toml"))?);
    let faults = crate::licences::faults(&metadata(&["--locked"])?, &allowed);
    none_of(&faults, "packages have a licence that is not allowed")
}

fn metadata(args: &[&str]) -> Result<serde_json::Value> {
    let mut cargo = command("cargo", &["metadata", "--format-version", "1"]);
    let output = cargo.args(args).output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn none_of(faults: &[String], what: &str) -> Result<()> {
    for fault in faults {
        println!("{fault}");
    }
    if faults.is_empty() {
        Ok(())
    } else {
        bail!("{} {what}", faults.len())
    }
}

/// All Rust files under a folder.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}

/// The stories of tests/intend: what Kubernetes, Crossplane and clients make of a rendered model.
fn intend() -> Result<()> {
    let found = intend_peers();
    let (checkers, kinds, envoy, vllm) = match found {
        Ok(found) => found,
        Err(error) if in_ci() => return Err(error.context("real peers may not be skipped in CI")),
        Err(error) => {
            println!("skipped: intend: {error:#}");
            return Ok(());
        }
    };
    let onefill = build_onefill()?;
    let site = crate::plug::site(&vllm.join("vllm/bin/python"))?;
    let python = checkers.join("bin/python");
    let mut story = command(&python, &["-u", "tests/intend/story.py"]);
    let story = story
        .env("ONEFILL_BIN", onefill)
        .env("ONEFILL_TOOLS", checkers.join("tools"))
        .env("ONEFILL_KINDS", &kinds)
        .env("ONEFILL_ENVOY", &envoy)
        .env("ONEFILL_S3", peers::objects()?)
        .env("ONEFILL_VLLM", &vllm)
        .env("ONEFILL_PLUG", site);
    shell::run("from intent to a system", story).context("logs are in the folder named above")
}

fn intend_peers() -> Result<(PathBuf, PathBuf, PathBuf, PathBuf)> {
    Ok((
        peers::intend()?,
        peers::kinds()?,
        peers::envoy()?,
        peers::vllm()?,
    ))
}

/// The story of tests/store, with real `LMCache` and Redis clients.
fn store() -> Result<()> {
    let peers = peers::lmcache().and_then(|peer| {
        peers::redis()?;
        Ok((peer, peers::objects()?))
    });
    let (peer, objects) = match peers {
        Ok(peers) => peers,
        Err(error) if in_ci() => return Err(error.context("real peers may not be skipped in CI")),
        Err(error) => {
            println!("skipped: store: {error:#}");
            return Ok(());
        }
    };
    let onefill = build_onefill()?;
    let faults = ["test", "--profile", "fast", "-p", "onefill-store", "--lib"];
    let mut faults = command("cargo", &faults);
    faults.args(["no_fault_gives_a_wrong_byte", "--", "--nocapture"]);
    let faults = faults.env("ONEFILL_FAULTS", "1000000");
    shell::run("a million faults on disk", faults)?;
    let mut story = command("python3", &["-u", "tests/store/story.py"]);
    let story = story
        .env("ONEFILL_LMCACHE", &peer)
        .env("ONEFILL_S3", objects)
        .env("ONEFILL_BIN", onefill);
    shell::run("real LMCache and Redis clients", story)
        .context("logs of the store and its clients are in the folder named above")
}

/// The stories of tests/vllm, on real vLLM replicas on CPU.
fn vllm() -> Result<()> {
    let peer = match peers::vllm() {
        Ok(peer) => peer,
        Err(error) if in_ci() => return Err(error.context("real peers may not be skipped in CI")),
        Err(error) => {
            println!("skipped: vllm: {error:#}");
            return Ok(());
        }
    };
    let onefill = build_onefill()?;
    let python = peer.join("vllm/bin/python");
    let mut story = command(&python, &["-u", "tests/vllm/route.py"]);
    shell::run(
        "real vLLM",
        story.env("ONEFILL_VLLM", &peer).env("ONEFILL_BIN", onefill),
    )
    .context("logs of replicas and router are in the folder named above")
}

/// The stories of tests/pick: a real Envoy that asks the picker, in front of simulated replicas and of
/// real vLLM.
fn pick() -> Result<()> {
    let (envoy, vllm) = match peers::envoy().and_then(|envoy| Ok((envoy, peers::vllm()?))) {
        Ok(peers) => peers,
        Err(error) if in_ci() => return Err(error.context("real peers may not be skipped in CI")),
        Err(error) => {
            println!("skipped: pick: {error:#}");
            return Ok(());
        }
    };
    let onefill = build_onefill()?;
    let python = vllm.join("vllm/bin/python");
    for (what, program, story) in [
        ("real Envoy", "python3".as_ref(), "tests/pick/story.py"),
        (
            "real Envoy, and requests that wait",
            "python3".as_ref(),
            "tests/pick/waiting.py",
        ),
        (
            "real Envoy and a pool of Kubernetes",
            "python3".as_ref(),
            "tests/pick/kubernetes.py",
        ),
        (
            "real Envoy and real vLLM",
            python.as_os_str(),
            "tests/pick/vllm.py",
        ),
    ] {
        let mut told = command(program, &["-B", "-u", story]);
        let told = told
            .env("ONEFILL_ENVOY", &envoy)
            .env("ONEFILL_VLLM", &vllm)
            .env("ONEFILL_BIN", &onefill);
        shell::run(what, told).context("logs are in the folder named above")?;
    }
    Ok(())
}
