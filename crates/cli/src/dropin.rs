//! Under other programs' names: `vllm-router` (production stack) and `lmcache_server` (`LMCache`), so that
//! their operators' objects start this program with no change.
//!
//! ```text
//! vllm-router --host 0.0.0.0 --port 80 --service-discovery k8s ...   -> onefill router --listen ...
//! lmcache_server 0.0.0.0 8000                                      -> onefill lmcache-server ...
//! ```

mod lmcache;
mod stack;
#[cfg(test)]
mod tests;

use clap::Command;
use std::{ffi::OsString, path::Path};

/// Arguments as clap shall read them, and what to say first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Translated {
    pub(crate) arguments: Vec<OsString>,
    pub(crate) warnings: Vec<String>,
}

/// Translates the process's arguments; those that are meant for this program stay as they are. An error
/// says what can't be done here.
pub(crate) fn translate(
    mut arguments: Vec<OsString>,
    command: &Command,
) -> Result<Translated, String> {
    let name = arguments.first().map(Path::new).and_then(Path::file_stem);
    let name = name.and_then(|name| name.to_str()).unwrap_or_default();
    match name {
        "vllm-router" => arguments.insert(1, "router".into()),
        "lmcache_server" => arguments.insert(1, "lmcache-server".into()),
        _ => {}
    }
    match arguments.get(1).and_then(|word| word.to_str()) {
        Some("router") => stack::translate(arguments, command),
        Some("lmcache-server") => Ok(lmcache::translate(&arguments)),
        _ => Ok(Translated {
            arguments,
            warnings: Vec::new(),
        }),
    }
}
