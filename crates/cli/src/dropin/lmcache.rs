//! `lmcache_server HOST PORT [DEVICE]`: the store with its `lm://` door alone, in as much memory as the
//! container has. `LMCache`'s own server takes whatever comes until it is killed.

use super::Translated;
use std::{ffi::OsString, fs, net::TcpListener};

/// Memory where nothing limits the process: `onefill store`'s own default.
const MEMORY_BYTES: u64 = 4 << 30;
/// Of a limit, beside blocks: the program and its connections, then records, one part in this many.
const SPARE_BYTES: u64 = 256 << 20;
const RECORDS_SHARE: u64 = 16;
/// Least that is worth a start.
const MEMORY_BYTES_MIN: u64 = 64 << 20;
const ADMIN_PORT: u16 = 9180;

/// Limits that a container has, by version of the kernel's interface.
const LIMITS: [&str; 2] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];
/// A limit above this is none.
const LIMIT_BYTES_MAX: u64 = 1 << 50;

pub(super) fn translate(arguments: &[OsString]) -> Translated {
    let mut words = arguments.iter().skip(2).filter_map(|word| word.to_str());
    // Without an address clap says what is missing.
    let (Some(host), Some(port)) = (words.next(), words.next()) else {
        return Translated {
            arguments: arguments.to_vec(),
            warnings: Vec::new(),
        };
    };
    let limits = LIMITS
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok());
    let memory = memory_bytes(limits);
    let mut command = vec!["onefill".to_owned(), "store".to_owned()];
    let mut set = |flag: &str, value: String| command.extend([format!("--{flag}"), value]);
    set("lm", format!("{host}:{port}"));
    set("resp", "none".to_owned());
    set("native", "none".to_owned());
    set("admin", admin(host));
    set("memory", memory.to_string());
    Translated {
        arguments: command.into_iter().map(OsString::from).collect(),
        warnings: vec![format!(
            "lmcache-server: {memory} bytes of memory for blocks, the oldest go first"
        )],
    }
}

/// Metrics, where nobody else has their port.
fn admin(host: &str) -> String {
    let address = format!("{host}:{ADMIN_PORT}");
    match TcpListener::bind(&address) {
        Ok(_) => address,
        Err(_) => "none".to_owned(),
    }
}

/// Memory for blocks under the least of these limits.
pub(super) fn memory_bytes(limits: impl Iterator<Item = String>) -> u64 {
    let read = |text: String| text.trim().parse::<u64>().ok();
    let limits = limits
        .filter_map(read)
        .filter(|bytes| *bytes < LIMIT_BYTES_MAX);
    let Some(limit) = limits.min() else {
        return MEMORY_BYTES;
    };
    let rest = limit.saturating_sub(SPARE_BYTES);
    (rest - rest / (RECORDS_SHARE + 1)).max(MEMORY_BYTES_MIN)
}
