//! `onefill._native.Client`.

use crate::{
    bell::Bell,
    buffer::Buffer,
    job::{Done, Job, Work},
    lane::Lane,
    watch::Watch,
};
use onefill_wire::client::{Client as Wire, ClientConfig, ClientError, TlsFiles, WINDOW_BYTES};
use parking_lot::Mutex;
use pyo3::{
    Bound, PyResult, Python,
    exceptions::{PyRuntimeError, PyValueError},
    pyclass, pymethods,
    types::{PyList, PyListMethods as _},
};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Longest wait for a connection: a store in the same network answers within milliseconds.
const CONNECT: Duration = Duration::from_millis(1000);
/// Longest deadline: an hour is no deadline any more.
const WAIT_MAX_S: f64 = 3600.0;

/// Authorities; certificate and key.
type Files = (Option<PathBuf>, Option<(PathBuf, PathBuf)>);

/// What came of a call: one answer for each key, in the order of the keys.
#[pyclass(frozen, get_all, module = "onefill._native")]
pub struct Outcome {
    ticket: u64,
    /// Is there (exists, touch, pin, delete), was copied and checked (get), lies in the store (put).
    found: Vec<bool>,
    /// Blocks whose bytes or length were not those that were put.
    corrupt: usize,
    /// The deadline came first, or the store could not be reached.
    late: bool,
    /// Why, in words.
    error: Option<String>,
    seconds: f64,
    /// Bytes of blocks that were moved.
    nbytes: usize,
}

/// What the threads share.
struct Shared {
    wire: Wire,
    /// Short calls, loads, stores: a short call never waits behind a long one.
    lanes: [Lane<Job>; 3],
    done: Mutex<Vec<Done>>,
    bell: Bell,
    watch: Watch,
}

/// A client of one namespace of a store. Calls return a ticket at once; outcomes come out of `poll`,
/// one for each ticket, about its deadline at the latest. No memory of the caller's is touched after
/// its outcome was given.
#[pyclass(frozen, module = "onefill._native")]
pub struct Client {
    shared: Arc<Shared>,
    tickets: AtomicU64,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[pymethods]
impl Client {
    /// `threads` for loads and as many for stores: connections at once. With `window` each of them
    /// shares memory with a store on this machine. `tls` is files: authorities (none: the system's), and
    /// certificate and key to show (none: nothing is shown).
    #[new]
    #[pyo3(signature = (address, namespace, token="", *, threads=2, window=true, tls=None))]
    fn new(
        address: String,
        namespace: String,
        token: &str,
        threads: usize,
        window: bool,
        tls: Option<Files>,
    ) -> PyResult<Self> {
        if threads == 0 || threads > 64 {
            return Err(PyValueError::new_err("threads must be 1 to 64"));
        }
        let tls = tls.map(|(authorities, identity)| {
            let files = TlsFiles {
                authorities,
                identity,
            };
            files
                .read()
                .map_err(|fault| PyValueError::new_err(fault.to_string()))
        });
        let config = ClientConfig {
            address,
            namespace,
            token: token.to_owned(),
            tls: tls.transpose()?,
            connect_timeout: CONNECT,
            idle_max: 2 * threads + 1,
            window_bytes: if window { WINDOW_BYTES } else { 0 },
        };
        let shared = Arc::new(Shared {
            wire: Wire::new(config),
            lanes: [Lane::new(), Lane::new(), Lane::new()],
            done: Mutex::default(),
            bell: Bell::new()?,
            watch: Watch::default(),
        });
        let mut started = Vec::new();
        for (lane, count) in [1, threads, threads].into_iter().enumerate() {
            for _ in 0..count {
                let shared = Arc::clone(&shared);
                let name = ["onefill-ask", "onefill-get", "onefill-put"][lane].to_owned();
                let serve = move || shared.serve(lane);
                started.push(thread::Builder::new().name(name).spawn(serve)?);
            }
        }
        let asked = Arc::clone(&shared);
        let ask = move || asked.watch.run(&asked.wire);
        started.push(
            thread::Builder::new()
                .name("onefill-watch".to_owned())
                .spawn(ask)?,
        );
        Ok(Self {
            shared,
            tickets: AtomicU64::new(0),
            threads: Mutex::new(started),
        })
    }

    /// Which blocks are there. With `lease` they stay readable for a while.
    #[pyo3(signature = (keys, timeout_s, lease=true))]
    fn exists(&self, keys: Vec<Vec<u8>>, timeout_s: f64, lease: bool) -> u64 {
        self.submit(keys, Work::Exists { lease }, timeout_s)
    }

    /// Blocks into `views`, each as long as its block.
    fn get(&self, keys: Vec<Vec<u8>>, views: &Bound<'_, PyList>, timeout_s: f64) -> PyResult<u64> {
        let buffers: PyResult<Vec<_>> = views.iter().map(|view| Buffer::writable(&view)).collect();
        let buffers = paired(&keys, buffers?)?;
        Ok(self.submit(keys, Work::Get(buffers), timeout_s))
    }

    /// `views` as blocks, where there is none yet. The store evicts a block before the
    /// one that `parents` names for it; an empty name is none.
    #[pyo3(signature = (keys, views, timeout_s, ttl_s=None, parents=None))]
    fn put(
        &self,
        keys: Vec<Vec<u8>>,
        views: &Bound<'_, PyList>,
        timeout_s: f64,
        ttl_s: Option<f64>,
        parents: Option<Vec<Vec<u8>>>,
    ) -> PyResult<u64> {
        let buffers: PyResult<Vec<_>> = views.iter().map(|view| Buffer::readable(&view)).collect();
        let buffers = paired(&keys, buffers?)?;
        let parents = paired(
            &keys,
            parents.unwrap_or_else(|| vec![Vec::new(); keys.len()]),
        )?;
        let ttl_ms = ttl_s.map_or(0, |ttl| seconds(ttl).as_millis().clamp(1, u32::MAX.into()));
        let ttl_ms = u32::try_from(ttl_ms).unwrap_or(u32::MAX);
        let work = Work::Put {
            buffers,
            parents,
            ttl_ms,
        };
        Ok(self.submit(keys, work, timeout_s))
    }

    /// They are used: they go later.
    fn touch(&self, keys: Vec<Vec<u8>>, timeout_s: f64) -> u64 {
        self.submit(keys, Work::Touch, timeout_s)
    }

    /// They stay until they are unpinned.
    fn pin(&self, keys: Vec<Vec<u8>>, timeout_s: f64) -> u64 {
        self.submit(keys, Work::Pin, timeout_s)
    }

    /// They may go again.
    fn unpin(&self, keys: Vec<Vec<u8>>, timeout_s: f64) -> u64 {
        self.submit(keys, Work::Unpin, timeout_s)
    }

    /// They shall go.
    fn delete(&self, keys: Vec<Vec<u8>>, timeout_s: f64) -> u64 {
        self.submit(keys, Work::Delete, timeout_s)
    }

    /// What came of calls since the last look.
    fn poll(&self) -> Vec<Outcome> {
        self.shared.bell.silence();
        let done = std::mem::take(&mut *self.shared.done.lock());
        done.into_iter().map(Outcome::from).collect()
    }

    /// Until there is something to poll, or the time is over.
    fn wait(&self, py: Python<'_>, timeout_s: f64) {
        py.detach(|| self.shared.bell.wait(seconds(timeout_s)));
    }

    /// A descriptor that is readable while there is something to poll.
    fn fileno(&self) -> i32 {
        self.shared.bell.number()
    }

    /// False from a call that went unanswered until the store answers again: calls fail at once then.
    #[getter]
    fn reachable(&self) -> bool {
        self.shared.watch.is_reachable()
    }

    /// Connections that came to share memory with the store so far; 0: all bytes went through sockets.
    #[getter]
    fn windows(&self) -> usize {
        self.shared.wire.windows()
    }

    /// Ends the threads; what waits still gets its outcome.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.shared.close();
        let threads = std::mem::take(&mut *self.threads.lock());
        let joined = py.detach(|| threads.into_iter().all(|thread| thread.join().is_ok()));
        if joined {
            Ok(())
        } else {
            Err(PyRuntimeError::new_err("a thread of the client panicked"))
        }
    }
}

impl Client {
    fn submit(&self, keys: Vec<Vec<u8>>, work: Work, timeout_s: f64) -> u64 {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        let lane = match &work {
            Work::Get(_) => 1,
            Work::Put { .. } => 2,
            _ => 0,
        };
        let job = Job {
            ticket,
            keys,
            work,
            deadline: Instant::now() + seconds(timeout_s),
        };
        if !self.shared.watch.is_reachable() {
            self.shared.tell(job.fail(None));
        } else if let Err(job) = self.shared.lanes[lane].push(job) {
            self.shared.tell(job.fail(None));
        }
        ticket
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Shared {
    fn serve(&self, lane: usize) {
        while let Some(job) = self.lanes[lane].next() {
            if !self.watch.is_reachable() || Instant::now() >= job.deadline {
                self.tell(job.fail(None));
                continue;
            }
            let is_load = matches!(job.work, Work::Get(_));
            let (done, error) = job.run(&self.wire);
            if error.is_some_and(|error| is_silence(&error, is_load)) {
                self.watch.fell_silent();
            }
            self.tell(done);
        }
    }

    fn close(&self) {
        for lane in &self.lanes {
            lane.close();
        }
        self.watch.close();
    }

    fn tell(&self, done: Done) {
        self.done.lock().push(done);
        self.bell.ring();
    }
}

impl From<Done> for Outcome {
    fn from(done: Done) -> Self {
        drop(done.buffers);
        Self {
            ticket: done.ticket,
            found: done.found,
            corrupt: done.corrupt,
            late: done.late,
            error: done.error,
            seconds: done.seconds,
            nbytes: done.nbytes,
        }
    }
}

/// A load that was too slow for its request says nothing about the store; other silence does.
fn is_silence(error: &ClientError, is_load: bool) -> bool {
    match error {
        ClientError::Late => !is_load,
        ClientError::Io(_) | ClientError::Resting => true,
        ClientError::Protocol(_) | ClientError::OutOfStep | ClientError::Refused { .. } => false,
    }
}

fn paired<T>(keys: &[Vec<u8>], others: Vec<T>) -> PyResult<Vec<T>> {
    if keys.len() == others.len() {
        Ok(others)
    } else {
        Err(PyValueError::new_err("as many views and parents as keys"))
    }
}

fn seconds(seconds: f64) -> Duration {
    let seconds = if seconds.is_nan() { 0.0 } else { seconds };
    Duration::from_secs_f64(seconds.clamp(0.0, WAIT_MAX_S))
}
