//! The recorder: requests go into a bounded queue, one thread writes them. Nobody waits for it:
//! what finds the queue full is counted and left out.

use crate::{Ended, folder, write::Writer};
use onefill_kv::{BlockKey, KeySeed};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Requests that wait to be written.
const QUEUE_MAX: usize = 4096;
/// Bytes of a file before the next one begins: a record is bounded to one file more or less.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// How long a written line may wait in memory.
const FLUSH: Duration = Duration::from_millis(500);
/// How long [`Recorder::flush`] waits.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// Where a record goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Its folder; made where it is not there.
    pub folder: PathBuf,
    /// Bytes of all files together: the oldest leave.
    pub bytes_max: u64,
    /// The deployment's secret.
    pub seed: KeySeed,
    /// The policy's name.
    pub policy: &'static str,
}

/// A request as it was seen.
#[derive(Clone, PartialEq, Debug)]
pub struct Observed {
    /// Arrival, in milliseconds since 1970.
    pub at_ms: u64,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens of the answer, where told.
    pub output_tokens: Option<u32>,
    /// Tokens a block of `chain`.
    pub block_tokens: u32,
    /// Keys of the prompt's full blocks.
    pub chain: Arc<[BlockKey]>,
    /// Hash of what names the session.
    pub session: Option<u64>,
    /// The replica's number.
    pub replica: u16,
    /// Tokens expected in its cache.
    pub overlap_tokens: u32,
    /// Tokens that it reported from there.
    pub cached_tokens: Option<u32>,
    /// Milliseconds that it was expected to wait.
    pub queue_ms: f64,
    /// Milliseconds to the first byte of the answer, if there was one.
    pub first_ms: Option<f64>,
    /// Milliseconds to its last.
    pub whole_ms: f64,
    /// Tokens that the replica's cache holds; 0: not known.
    pub capacity_tokens: u64,
    /// How it ended.
    pub ended: Ended,
}

/// A record that can't be begun.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The folder can't be made or written to.
    #[error("the record's folder {folder} can't be used")]
    Folder {
        /// Its path.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No thread could be had.
    #[error("the record's thread can't be started")]
    Thread(#[source] io::Error),
}

enum Message {
    Observed(Box<Observed>),
    /// Everything before it shall be on its way to the disk.
    Flush(SyncSender<()>),
}

/// Takes requests in. Clones write to one record; the last one to go ends it.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
    folder: Arc<Path>,
}

impl Recorder {
    /// Begins a record, in a new file.
    pub fn start(config: Config) -> Result<Self, RecordError> {
        let folder: Arc<Path> = config.folder.as_path().into();
        let wrong = |source| RecordError::Folder {
            folder: config.folder.clone(),
            source,
        };
        fs::create_dir_all(&config.folder).map_err(wrong)?;
        let out = Out::open(&config, 0).map_err(wrong)?;
        let (queue, queued) = mpsc::sync_channel(QUEUE_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&dropped);
        let work = move || write(&config, out, &queued, &lost);
        let thread = std::thread::Builder::new().name("record".to_owned());
        thread.spawn(work).map_err(RecordError::Thread)?;
        Ok(Self {
            queue,
            dropped,
            folder,
        })
    }

    /// Takes a request in, at once; `false`: it is left out.
    pub fn observe(&self, observed: Observed) -> bool {
        match self.queue.try_send(Message::Observed(Box::new(observed))) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Relaxed);
                false
            }
        }
    }

    /// Requests that were left out.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Where it is written.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Waits until what was taken in is in the file. Blocks.
    pub fn flush(&self) {
        let (done, wait) = mpsc::sync_channel(1);
        if self.queue.send(Message::Flush(done)).is_ok() {
            _ = wait.recv_timeout(FLUSH_MAX); // a disk that hangs is told of by the writer
        }
    }
}

/// Milliseconds since 1970.
fn unix_ms() -> u128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis())
}

/// The file that is being written.
struct Out {
    file: BufWriter<File>,
    bytes: u64,
    number: u64,
}

impl Out {
    fn open(config: &Config, number: u64) -> io::Result<Self> {
        let name = format!("record-{:015}-{number:06}.jsonl", unix_ms());
        let file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .open(config.folder.join(name))?;
        Ok(Self {
            file: BufWriter::new(file),
            bytes: 0,
            number,
        })
    }

    fn put(&mut self, text: &str) -> io::Result<()> {
        self.bytes += text.len() as u64;
        self.file.write_all(text.as_bytes())
    }
}

/// The writing thread. A disk that fails ends the record, never the requests.
fn write(config: &Config, mut out: Out, queue: &Receiver<Message>, lost: &AtomicU64) {
    let mut writer = Writer::new(config.seed, config.policy);
    let mut text = String::new();
    writer.head(&mut text);
    let mut failed = out.put(&text).err();
    loop {
        if let Some(error) = failed.take() {
            tracing::error!(%error, "the record can't be written: it ends here");
            return;
        }
        match queue.recv_timeout(FLUSH) {
            Ok(Message::Observed(observed)) => {
                text.clear();
                writer.line(&observed, &mut text);
                failed = out.put(&text).err();
                if failed.is_none() && out.bytes >= FILE_BYTES_MAX.min(config.bytes_max / 2) {
                    failed = next(config, &mut out, &mut writer).err();
                }
            }
            Ok(Message::Flush(done)) => {
                failed = out.file.flush().err();
                _ = done.try_send(()); // who asked may have gone
            }
            Err(RecvTimeoutError::Timeout) => failed = out.file.flush().err(),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    if let Err(error) = out.file.flush() {
        tracing::error!(%error, "the record's end is lost");
    }
    let dropped = lost.load(Relaxed);
    if dropped > 0 {
        tracing::warn!(dropped, "requests were left out of the record");
    }
}

/// Begins the next file; the oldest leave.
fn next(config: &Config, out: &mut Out, writer: &mut Writer) -> io::Result<()> {
    out.file.flush()?;
    *out = Out::open(config, out.number + 1)?;
    let mut head = String::new();
    writer.head(&mut head);
    out.put(&head)?;
    folder::trim(&config.folder, config.bytes_max)
}
