//! `onefill advise`: what each option would bring to a fleet, from what was asked of it.

use crate::{EXIT_USAGE, demo::client::Client, logs, trace::TraceFlags};
use anyhow::Context as _;
use http::Method;
use indicatif::{ProgressBar, ProgressDrawTarget};
use onefill_plan::{
    advise::{Advice, Asked, Known, Question, advise, text},
    trace::{Recorded, Trace, recorded},
};
use std::{path::Path, process::ExitCode, time::Duration};
use tokio::runtime;

/// Flags of `onefill advise`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A record's folder (`onefill router --record`), a router's admin address (http://HOST:PORT),
    /// a trace file, or a made-up workload (see `simulate`)
    source: String,
    /// Replicas [default: those of the record]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    replicas: Option<u16>,
    /// Tokens that each replica's accelerators hold [default: as the record says]
    #[arg(long, value_name = "N")]
    gpu_tokens: Option<u64>,
    /// Tokens that one replica computes in a second [default: so that replaying takes as long as it took]
    #[arg(long, value_name = "N")]
    prefill_tokens_s: Option<f64>,
    /// Tokens a second from a store to one replica [default: seven times the above]
    #[arg(long, value_name = "N")]
    store_tokens_s: Option<f64>,
    /// Advise again every so many seconds, until interrupted
    #[arg(long, value_name = "SECONDS")]
    watch: Option<u64>,
    #[command(flatten)]
    trace: TraceFlags,
    /// JSON on standard output
    #[arg(long)]
    json: bool,
}

/// What was asked, owned.
enum Source {
    Record(Recorded),
    Trace(Trace),
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let rates = [arguments.prefill_tokens_s, arguments.store_tokens_s];
    if rates
        .iter()
        .flatten()
        .any(|rate| !(*rate > 0.0 && rate.is_finite()))
    {
        logs::say(format_args!("onefill: rates must be above zero"));
        return Ok(ExitCode::from(EXIT_USAGE));
    }
    loop {
        let advice = once(arguments)?;
        logs::print(&match arguments.json {
            true => format!("{}\n", serde_json::to_string_pretty(&advice)?),
            false => text(&advice),
        });
        match arguments.watch {
            None => return Ok(ExitCode::SUCCESS),
            Some(seconds) => std::thread::sleep(Duration::from_secs(seconds.max(1))),
        }
    }
}

fn once(arguments: &Arguments) -> anyhow::Result<Advice> {
    let source = open(arguments)?;
    let question = Question {
        asked: match &source {
            Source::Record(recorded) => Asked::Record(recorded),
            Source::Trace(trace) => Asked::Trace(trace),
        },
        known: Known {
            replicas: arguments.replicas,
            gpu_tokens: arguments.gpu_tokens,
            prefill_tokens_s: arguments.prefill_tokens_s,
            store_tokens_s: arguments.store_tokens_s,
        },
    };
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.enable_steady_tick(Duration::from_millis(200));
    let advice = advise(&question, &mut |step| bar.set_message(step.to_owned()));
    bar.finish_and_clear();
    Ok(advice)
}

fn open(arguments: &Arguments) -> anyhow::Result<Source> {
    let source = arguments.source.as_str();
    let record = |text: &str| {
        let read = recorded(source, text).with_context(|| format!("the record of {source}"));
        read.map(Source::Record)
    };
    if source.starts_with("http://") {
        return record(&fetched(source)?);
    }
    let path = Path::new(source);
    if path.is_dir() {
        let text = onefill_record::read_folder(path);
        return record(&text.with_context(|| format!("reading {source}"))?);
    }
    if path.is_file() {
        let text = std::fs::read_to_string(path);
        if let Ok(text) = text
            && onefill_record::Reader::is_head(&text)
        {
            return record(&text);
        }
    }
    arguments.trace.open(source).map(Source::Trace)
}

/// The record of a live router, as far as one answer carries it.
fn fetched(address: &str) -> anyhow::Result<String> {
    let url = format!("{}/debug/record", address.trim_end_matches('/'));
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let body = runtime.block_on(Client::new().ask(Method::GET, &url));
    let body =
        body.with_context(|| format!("asking {url} (was the router started with --record?)"))?;
    Ok(String::from_utf8(body.to_vec())?)
}
