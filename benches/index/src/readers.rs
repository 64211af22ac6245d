//! A reader beside a writer that applies a million block events a second.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use onefill_index::{IndexReader, Overlaps};
use onefill_kv::BlockKey;

use crate::meter::{median, thread_cpu};
use crate::report::{Bar, Report};
use crate::subjects::Subject;
use crate::subjects::onefill::{Onefill, OwnEvents};
use crate::work::Work;

const BLOCKS_A_SECOND: f64 = 1e6;
/// The writer wakes this often, as feeds' batches come.
const PERIOD: Duration = Duration::from_millis(1);

/// Lookups for each second of the reader's own CPU time.
fn read(reader: &IndexReader, chains: &[Vec<BlockKey>], long: Duration) -> f64 {
    let mut out = Overlaps::default();
    let (start, cpu) = (Instant::now(), thread_cpu());
    let mut lookups = 0;
    while start.elapsed() < long {
        for chain in chains.iter().cycle().skip(lookups % chains.len()).take(256) {
            reader.lookup(chain, &mut out);
            std::hint::black_box(&out);
        }
        lookups += 256;
    }
    lookups as f64 / (thread_cpu() - cpu).as_secs_f64()
}

/// Applies events over and over at the given rate until told to stop.
fn write(ours: &mut Onefill, events: &OwnEvents, stop: &AtomicBool, applied: &AtomicU64) {
    let start = Instant::now();
    let mut blocks = 0.0;
    for event in events.events().iter().cycle() {
        if blocks / BLOCKS_A_SECOND > start.elapsed().as_secs_f64() {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(PERIOD);
        }
        events.apply(event, &mut ours.writer);
        blocks += event.blocks() as f64;
        applied.store(blocks as u64, Ordering::Relaxed);
    }
}

/// Compares the reader's rate alone and beside the writer, in turns.
pub fn measure(work: &Work, rounds: usize, report: &mut Report) {
    println!("\nreaders beside a writer, {}", work.name);
    let mut ours = Onefill::default();
    ours.apply(&work.stores);
    let chains: Vec<Vec<BlockKey>> = work
        .queries
        .iter()
        .map(|query| query.iter().map(|node| node.key).collect())
        .collect();
    let mut events = OwnEvents::new(&work.removes);
    events.extend(&work.restores);
    let reader = ours.reader.clone();
    let (mut alone, mut beside, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    let long = Duration::from_millis(1000);
    for _ in 0..rounds {
        alone.push(read(&reader, &chains, long));
        let (stop, applied) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| write(&mut ours, &events, &stop, &applied));
            let (start, before) = (Instant::now(), applied.load(Ordering::Relaxed));
            beside.push(read(&reader, &chains, long));
            let blocks = applied.load(Ordering::Relaxed) - before;
            rates.push(blocks as f64 / start.elapsed().as_secs_f64());
            stop.store(true, Ordering::Relaxed);
        });
    }
    let kept = alone
        .iter()
        .zip(&beside)
        .map(|(alone, beside)| 100.0 * beside / alone);
    let (alone, rate) = (median(alone.iter().copied()), median(rates));
    println!("       alone        {:>9.0} lookups a second of CPU", alone);
    println!(
        "       beside       {:>9.0}",
        median(beside.iter().copied())
    );
    println!("       writer       {rate:>9.0} blocks a second");
    report.bar(
        "readers: rate kept beside a writer",
        "%",
        median(kept),
        &[],
        Bar::AtLeast(80.0),
    );
    report.bar(
        "readers: the writer's rate",
        "M/s",
        rate / 1e6,
        &[],
        Bar::AtLeast(0.95),
    );
}
