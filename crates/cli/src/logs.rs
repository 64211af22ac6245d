//! Logs and words on standard error.

use clap::ValueEnum;
use std::{fmt, io::Write as _};
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// Starts logging to standard error, at `info` unless `RUST_LOG` says otherwise.
pub(crate) fn start(format: LogFormat) {
    start_at(format, "info");
}

/// Starts logging at `level` unless `RUST_LOG` says otherwise.
pub(crate) fn start_at(format: LogFormat, level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => logs.with_target(false).try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging had been started already");
    }
}

/// A line on standard error for the person who started the program.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    _ = writeln!(std::io::stderr(), "{line}"); // nobody is left to tell if it is closed
}

/// Text on standard output.
pub(crate) fn print(text: &str) {
    _ = std::io::stdout().write_all(text.as_bytes());
}
