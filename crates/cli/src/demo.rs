//! `onefill demo`: simulated replicas and a router, round robin beside kv.

use std::process::ExitCode;

/// Flags of `onefill demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let _ = arguments;
    anyhow::bail!("the demo is not there yet")
}
