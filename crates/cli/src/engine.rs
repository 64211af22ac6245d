//! `onefill engine`: a simulated vLLM replica.

use std::process::ExitCode;

/// Flags of `onefill engine`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let _ = arguments;
    anyhow::bail!("the simulated engine is not there yet")
}
