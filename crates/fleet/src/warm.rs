//! The index kept between two runs: which replica it spoke of, and how far its events had been
//! applied. After a restart a replica whose process still runs is asked for the batches since then
//! only, and is known exactly at once.
//!
//! ```text
//! file   seed:u64 little-endian | a snapshot of the index, whose identity is the mixed seed
//! name   URL ' ' rank or '-' ' ' start of the process ' ' time of the last batch   (Unix seconds)
//! mark   number of the next batch
//! ```

use onefill_index::snapshot::SavedReplica;
use onefill_kv::{KeySeed, ReplicaId, mix};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Starts of a process closer than this are one start: engines tell it with a fraction.
const SAME_START_S: f64 = 0.5;
/// How often the index is written down.
pub(crate) const SAVE_INTERVAL: Duration = Duration::from_secs(60);
/// For how long a replica of the last run may stay away before what it held is forgotten.
pub(crate) const CLAIM_WITHIN: Duration = Duration::from_secs(60);

/// Where a feed can be taken up again.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Mark {
    /// Start of the engine's process, Unix seconds.
    pub(crate) process_start_s: f64,
    /// Number of the next batch.
    pub(crate) next: u64,
    /// When the last applied batch was published, Unix seconds.
    pub(crate) published_s: f64,
}

impl Mark {
    /// Whether this was said of the process that started then. An engine that does not tell its
    /// start can't be told from the one that followed it.
    pub(crate) fn is_of(&self, process_start_s: f64) -> bool {
        process_start_s > 0.0 && (self.process_start_s - process_start_s).abs() < SAME_START_S
    }
}

/// An address, and the rank behind it where there are several.
pub(crate) type Name = (String, Option<u32>);

/// What was known of replicas at the end of the last run.
pub(crate) type Kept = BTreeMap<Name, (ReplicaId, Mark)>;

pub(crate) fn write_name(name: &Name, mark: &Mark) -> String {
    let rank = name
        .1
        .map_or_else(|| "-".to_owned(), |rank| rank.to_string());
    let (start, published) = (mark.process_start_s, mark.published_s);
    format!("{} {rank} {start} {published}", name.0)
}

fn read_name(saved: &SavedReplica<'_>) -> Option<(Name, Mark)> {
    let mut words = saved.name.split(' ');
    let url = words.next()?.to_owned();
    let rank = match words.next()? {
        "-" => None,
        number => Some(number.parse().ok()?),
    };
    let mark = Mark {
        process_start_s: words.next()?.parse().ok()?,
        published_s: words.next()?.parse().ok()?,
        next: saved.mark,
    };
    Some(((url, rank), mark))
}

/// What a snapshot's keys depend on.
pub(crate) fn identity(seed: KeySeed) -> u64 {
    mix(seed.0)
}

/// Takes note of a saved replica; it keeps its number.
pub(crate) fn keep(kept: &mut Kept, saved: &SavedReplica<'_>) -> Option<ReplicaId> {
    let (name, mark) = read_name(saved)?;
    kept.insert(name, (saved.replica, mark));
    Some(saved.replica)
}

/// The seed of the keys in a snapshot file; `None`: there is no such file, or it is none.
#[must_use]
pub fn snapshot_seed(path: &Path) -> Option<KeySeed> {
    let file = fs::read(path).ok()?;
    let (seed, _) = file.split_first_chunk::<8>()?;
    Some(KeySeed(u64::from_le_bytes(*seed)))
}

/// A file's seed and snapshot; `None` where there is no file.
pub(crate) fn read(path: &Path) -> io::Result<Option<(KeySeed, Vec<u8>)>> {
    let mut file = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let seed = file.first_chunk::<8>().copied();
    let seed = seed.ok_or(io::ErrorKind::UnexpectedEof)?;
    file.drain(..8);
    Ok(Some((KeySeed(u64::from_le_bytes(seed)), file)))
}

/// Replaces the file at once: whoever reads it finds the old one or the new one. The seed is a
/// secret: only its owner may read it.
pub(crate) fn write(path: &Path, seed: KeySeed, snapshot: &[u8]) -> io::Result<()> {
    use io::Write as _;
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new)?;
    file.write_all(&seed.0.to_le_bytes())?;
    file.write_all(snapshot)?;
    file.sync_all()?;
    fs::rename(new, path)
}

#[cfg(test)]
mod tests;
