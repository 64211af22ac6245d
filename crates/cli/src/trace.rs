//! Traces that commands are given: a file, or a workload made up from a seed.

use anyhow::Context as _;
use onefill_plan::{
    generate::{Kind, Volume, generate},
    trace::{Format, FormatOptions, Trace, read, recorded},
};
use std::path::Path;

/// Flags beside a trace's name.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TraceFlags {
    /// mooncake, claude, azure, record or openai; found out where not given
    #[arg(long, value_name = "NAME")]
    format: Option<String>,
    /// Requests that a generator makes
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    requests: usize,
    /// Requests a second that a generator makes
    #[arg(long, value_name = "N", default_value_t = 20.0)]
    per_s: f64,
    /// Seed of all chance
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

impl TraceFlags {
    /// The trace of that name: a generator's, else a file's.
    pub(crate) fn open(&self, name: &str) -> anyhow::Result<Trace> {
        if let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == name) {
            let volume = Volume {
                requests: self.requests,
                per_s: self.per_s,
                seed: self.seed,
                ..Volume::default()
            };
            return Ok(generate(kind, &volume));
        }
        let format = match &self.format {
            Some(named) => {
                let found = Format::ALL.into_iter().find(|each| each.name() == named);
                let names = Format::ALL.map(Format::name);
                Some(found.with_context(|| unknown("format", named, names))?)
            }
            None => None,
        };
        if Path::new(name).is_dir() {
            let text = onefill_record::read_folder(Path::new(name));
            let text = text.with_context(|| format!("reading {name}"))?;
            return Ok(recorded(name, &text)?.trace);
        }
        let bytes = std::fs::read(name).with_context(|| format!("reading {name}"))?;
        let mut options = FormatOptions::default();
        options.claude.seed = self.seed;
        options.azure.seed = self.seed;
        read(name, &bytes, format, &options).with_context(|| format!("reading {name}"))
    }
}

/// A sentence about a name that is not among the known ones.
pub(crate) fn unknown<const N: usize>(what: &str, name: &str, known: [&str; N]) -> String {
    format!("no {what} {name:?}: there are {}", known.join(", "))
}
