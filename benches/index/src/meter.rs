//! What is measured: CPU time, bytes on the heap, percentiles.

use std::alloc::{GlobalAlloc, Layout, System};
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

/// CPU nanoseconds that this thread spends in `work`, for each of `units`.
pub fn cpu_ns_per(units: usize, work: impl FnOnce()) -> f64 {
    let before = thread_cpu();
    work();
    (thread_cpu() - before).as_nanos() as f64 / units as f64
}

/// Median and 99th percentile of single calls, in nanoseconds, and their mean in CPU time.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    pub p50: f64,
    pub p99: f64,
    pub mean_cpu: f64,
}

/// Times `call` for each of `0..calls`; `prepare` runs before each, untimed.
pub fn latency(calls: usize, mut prepare: impl FnMut(usize), mut call: impl FnMut(usize)) -> Latency {
    let mut took = Vec::with_capacity(calls);
    let mut cpu = Duration::ZERO;
    for number in 0..calls {
        prepare(number);
        let start = Instant::now();
        call(number);
        took.push(start.elapsed().as_nanos() as u64);
        cpu += Duration::from_nanos(*took.last().unwrap_or(&0));
    }
    took.sort_unstable();
    let at = |part: f64| took[((calls - 1) as f64 * part) as usize] as f64;
    Latency { p50: at(0.5), p99: at(0.99), mean_cpu: cpu.as_nanos() as f64 / calls as f64 }
}
