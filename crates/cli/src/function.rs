//! `onefill function`: the Crossplane composition function, with the flags of Crossplane's SDKs.

use crate::{
    EXIT_USAGE,
    logs::{self, LogFormat},
};
use anyhow::{Context as _, bail};
use onefill_function::{Config, Tls};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};
use tokio::{net::TcpListener, runtime};
use tokio_util::sync::CancellationToken;

/// Flags of `onefill function`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Address for Crossplane; without a host, all of this machine
    #[arg(long, value_name = "HOST:PORT", default_value = "0.0.0.0:9443")]
    address: String,
    /// Folder with tls.crt, tls.key and ca.crt; callers must show a certificate of that authority
    #[arg(long, value_name = "FOLDER", env = "TLS_SERVER_CERTS_DIR")]
    tls_certs_dir: Option<PathBuf>,
    /// Serve in plain text, whatever else is said
    #[arg(long)]
    insecure: bool,
    /// Log more
    #[arg(short, long)]
    debug: bool,
    /// text or json
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let level = if arguments.debug { "debug" } else { "info" };
    logs::start_at(arguments.log_format, level);
    let config = match config(arguments) {
        Ok(config) => config,
        Err(fault) => {
            logs::say(format_args!("onefill: {fault:#}"));
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(&arguments.address, config))?;
    Ok(ExitCode::SUCCESS)
}

fn config(arguments: &Arguments) -> anyhow::Result<Config> {
    if arguments.insecure {
        return Ok(Config::default());
    }
    let Some(folder) = &arguments.tls_certs_dir else {
        bail!("say how to serve: --tls-certs-dir FOLDER (or TLS_SERVER_CERTS_DIR), or --insecure");
    };
    let tls = Tls {
        certificate: read(folder, "tls.crt")?,
        key: read(folder, "tls.key")?,
        authority: read(folder, "ca.crt")?,
    };
    Ok(Config { tls: Some(tls) })
}

fn read(folder: &Path, file: &str) -> anyhow::Result<Vec<u8>> {
    let path = folder.join(file);
    std::fs::read(&path).with_context(|| format!("{}", path.display()))
}

async fn serve(address: &str, config: Config) -> anyhow::Result<()> {
    // Go's form for all addresses of the machine.
    let bound = match address.strip_prefix(':') {
        Some(port) => TcpListener::bind(format!("0.0.0.0:{port}")).await,
        None => TcpListener::bind(address).await,
    };
    let listener = bound.with_context(|| format!("can't listen on {address}"))?;
    tracing::info!(addr = %listener.local_addr()?, tls = config.tls.is_some(), "listening");
    let shutdown = CancellationToken::new();
    tokio::spawn(crate::router::stop_on_signal(shutdown.clone()));
    onefill_function::run(listener, config, shutdown).await?;
    tracing::info!("stopped");
    Ok(())
}
