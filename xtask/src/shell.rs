//! Running other programs, and saying so.

use anyhow::{Context, Result, bail};
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

/// Root of the workspace.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Folder for what is installed once and used again: `$ONEFILL_CACHE` or `~/.cache/onefill`.
pub fn cache() -> Result<PathBuf> {
    let folder = match (std::env::var_os("ONEFILL_CACHE"), std::env::var_os("HOME")) {
        (Some(cache), _) => PathBuf::from(cache),
        (None, Some(home)) => PathBuf::from(home).join(".cache/onefill"),
        (None, None) => bail!("set ONEFILL_CACHE to a folder with 4 GB of room"),
    };
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(folder)
}

/// Whether this run must not skip anything.
pub fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|ci| ci == "true" || ci == "1")
}

/// A command in the workspace's root.
pub fn command(program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(root());
    // What cargo told this program about itself: build scripts ask for such words (ring's does), and
    // dependencies would be built once for `cargo build` and once more for `cargo xtask`.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    command
}

/// Runs a command to its end; an error if it fails.
pub fn run(what: &str, command: &mut Command) -> Result<()> {
    println!("== {what}");
    let start = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("{what}: starting {}", words(command)))?;
    let seconds = start.elapsed().as_secs_f64();
    if status.success() {
        println!("== {what}: done in {seconds:.0} s");
        return Ok(());
    }
    let words = words(command);
    bail!("{what} failed ({status}) after {seconds:.0} s: {words}")
}

/// A command as one would type it.
fn words(command: &Command) -> String {
    let program = std::iter::once(command.get_program());
    let words = program
        .chain(command.get_args())
        .map(|word| word.to_string_lossy());
    words.collect::<Vec<_>>().join(" ")
}

/// Runs cargo with these arguments.
pub fn cargo(what: &str, args: &[&str]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run(what, &mut command(cargo, args))
}

/// Builds the `onefill` program for tests that start it; where it is.
pub fn build_onefill() -> Result<PathBuf> {
    cargo(
        "build onefill",
        &["build", "--profile", "fast", "--package", "onefill"],
    )?;
    Ok(target().join("fast/onefill"))
}

/// Builds the `onefill` program as it is shipped, for benchmarks beside peers; where it is.
pub fn release_onefill() -> Result<PathBuf> {
    cargo(
        "build onefill",
        &["build", "--release", "--package", "onefill"],
    )?;
    Ok(target().join("release/onefill"))
}

/// Where the root workspace is built.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |dir| root().join(dir))
}
