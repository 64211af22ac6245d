//! What is measured: CPU time, bytes on the heap, percentiles.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Counts bytes asked for and not yet given back.
pub struct Counting;

static HEAP_BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged; only sizes are counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HEAP_BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        HEAP_BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HEAP_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        HEAP_BYTES.fetch_add(size, Ordering::Relaxed);
        HEAP_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Bytes on the heap now.
pub fn heap_bytes() -> usize {
    HEAP_BYTES.load(Ordering::Relaxed)
}

fn clock(id: ClockId) -> Duration {
    let now = clock_gettime(id);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// CPU time of this thread, so far.
pub fn thread_cpu() -> Duration {
    clock(ClockId::ThreadCPUTime)
}

/// CPU nanoseconds that this thread spends in `work`.
pub fn cpu_ns(work: impl FnOnce()) -> f64 {
    let before = thread_cpu();
    work();
    (thread_cpu() - before).as_nanos() as f64
}

/// CPU time of another thread.
pub struct ThreadClock {
    schedstat: PathBuf,
    stat: PathBuf,
}

impl ThreadClock {
    /// Of the thread that calls.
    pub fn here() -> Self {
        let task = PathBuf::from("/proc/self/task");
        let task = task.join(rustix::thread::gettid().as_raw_nonzero().to_string());
        Self {
            schedstat: task.join("schedstat"),
            stat: task.join("stat"),
        }
    }

    /// Nanoseconds so far; exact while the thread sleeps.
    pub fn cpu_ns(&self) -> f64 {
        let text = std::fs::read_to_string(&self.schedstat).unwrap_or_default();
        let first = text
            .split_whitespace()
            .next()
            .and_then(|first| first.parse().ok());
        first.expect("the system keeps CPU time a thread (schedstat)")
    }

    /// Waits until the thread waits for something.
    pub fn wait_for_sleep(&self) {
        let is_asleep = || {
            let text = std::fs::read_to_string(&self.stat).unwrap_or_default();
            text.rsplit(')')
                .next()
                .is_some_and(|rest| rest.trim_start().starts_with('S'))
        };
        while !is_asleep() {
            std::thread::yield_now();
        }
    }
}

/// Median, 99th percentile and mean of single calls, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    pub p50: f64,
    pub p99: f64,
    pub mean: f64,
}

impl Latency {
    pub fn of(mut took_ns: Vec<u64>) -> Self {
        took_ns.sort_unstable();
        let at = |part: f64| took_ns[((took_ns.len() - 1) as f64 * part) as usize] as f64;
        let mean = took_ns.iter().sum::<u64>() as f64 / took_ns.len() as f64;
        Self {
            p50: at(0.5),
            p99: at(0.99),
            mean,
        }
    }
}

/// Nanoseconds that `call` takes for each query, turned into `K`s just before, as a request's tokens are hashed just
/// before they are looked up.
pub fn times_of<T, K>(
    queries: &[Vec<T>],
    key: impl Fn(&T) -> K,
    mut call: impl FnMut(&[K]),
) -> Vec<u64> {
    let mut keys = Vec::new();
    let took = queries.iter().map(|query| {
        keys.clear();
        keys.extend(query.iter().map(&key));
        let start = Instant::now();
        call(&keys);
        start.elapsed().as_nanos() as u64
    });
    took.collect()
}

/// The middle one.
pub fn median(of: impl IntoIterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = of.into_iter().collect();
    all.sort_unstable_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}
