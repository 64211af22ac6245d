//! Which format a file has, and reading it.

use super::{
    AzureOptions, ClaudeOptions, Trace, TraceError, azure, claude, mooncake, openai, recorded,
};
use flate2::read::MultiGzDecoder;
use std::{borrow::Cow, io::Read as _};

/// Formats of trace files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// `mooncake`: jsonl with `hash_ids`.
    Mooncake,
    /// `claude`: packed sessions of a coding agent.
    Claude,
    /// `azure`: csv of times and lengths.
    Azure,
    /// `record`: what a router wrote with `--record`.
    Record,
    /// `openai`: a log of requests' bodies.
    Openai,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 5] = [
        Self::Mooncake,
        Self::Claude,
        Self::Azure,
        Self::Record,
        Self::Openai,
    ];

    /// The name used in flags.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mooncake => "mooncake",
            Self::Claude => "claude",
            Self::Azure => "azure",
            Self::Record => "record",
            Self::Openai => "openai",
        }
    }

    /// By the text's first line.
    fn guess(text: &str) -> Option<Self> {
        let first = text.lines().find(|line| !line.trim().is_empty())?;
        let has = |word: &str| first.contains(word);
        match () {
            () if has("\"hash_ids\"") => Some(Self::Mooncake),
            () if has("\"runs\"") => Some(Self::Claude),
            () if has("\"onefill_record\"") => Some(Self::Record),
            () if ["\"messages\"", "\"prompt\"", "\"input\""]
                .into_iter()
                .any(has) =>
            {
                Some(Self::Openai)
            }
            () if has("ContextTokens") => Some(Self::Azure),
            () => None,
        }
    }
}

/// What the formats' readers may be told.
#[derive(Clone, Copy, Debug, Default)]
pub struct FormatOptions {
    /// Sessions to a fleet's trace.
    pub claude: ClaudeOptions,
    /// Lengths to content.
    pub azure: AzureOptions,
}

/// Most bytes that a packed file may unpack to.
const UNPACKED_BYTES_MAX: u64 = 4 << 30;

/// Reads a trace file, gzip or not, in the given format or the one that it looks like.
pub fn read(
    name: &str,
    bytes: &[u8],
    format: Option<Format>,
    options: &FormatOptions,
) -> Result<Trace, TraceError> {
    let bytes: Cow<'_, [u8]> = if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = Vec::new();
        MultiGzDecoder::new(bytes)
            .take(UNPACKED_BYTES_MAX)
            .read_to_end(&mut unpacked)?;
        Cow::Owned(unpacked)
    } else {
        Cow::Borrowed(bytes)
    };
    let text =
        std::str::from_utf8(&bytes).map_err(|error| TraceError::NotText(error.valid_up_to()))?;
    match format.or_else(|| Format::guess(text)) {
        Some(Format::Mooncake) => mooncake(name, text),
        Some(Format::Claude) => claude(name, text, &options.claude),
        Some(Format::Azure) => azure(name, text, &options.azure),
        Some(Format::Openai) => openai(name, text),
        Some(Format::Record) => recorded(name, text).map(|recorded| recorded.trace),
        None => Err(TraceError::UnknownFormat),
    }
}
