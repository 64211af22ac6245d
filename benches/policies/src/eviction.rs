//! Line 4: what the store's policies hit of each trace, alone, by size. What was chosen was chosen
//! on the first half of each trace; the goals are held to the whole and to the second half.

use crate::traces;
use onefill_evict::Choice;
use onefill_plan::{
    sizing::{hits, ratio},
    trace::Trace,
};

struct Setup {
    trace: &'static str,
    /// Tenths of a million tokens, and what S3-FIFO without regard to chains was published to hit
    /// there of all requests, in per cent.
    sizes: &'static [(u64, f64)],
    /// Times LRU at one and two million tokens.
    times_lru: Option<f64>,
}

const SETUPS: [Setup; 3] = [
    Setup {
        trace: "conversation",
        sizes: &[
            (5, 5.67),
            (10, 7.92),
            (20, 12.15),
            (50, 19.77),
            (100, 25.55),
            (200, 33.81),
            (500, 36.95),
        ],
        times_lru: Some(1.5),
    },
    Setup {
        trace: "synthetic",
        sizes: &[
            (5, 8.24),
            (10, 13.61),
            (20, 22.86),
            (50, 41.39),
            (100, 56.70),
            (200, 64.92),
        ],
        times_lru: None,
    },
    Setup {
        trace: "agent",
        sizes: &[
            (10, 15.12),
            (20, 33.18),
            (50, 58.45),
            (100, 79.68),
            (200, 91.98),
            (500, 95.89),
            (1000, 96.27),
        ],
        times_lru: Some(1.4),
    },
];
/// Sizes of that goal.
const SMALL: [u64; 2] = [10, 20];
/// No policy may be better by more.
const BEHIND_MAX: f64 = 0.005;

/// Parts of a trace: all of it, and what nothing was chosen by.
const PARTS: [(&str, f64); 2] = [("all", 0.0), ("second half", 0.5)];

pub fn run() -> Vec<String> {
    let mut missed = Vec::new();
    for setup in SETUPS {
        let Some(trace) = traces::load(setup.trace, 1) else {
            continue;
        };
        let [all, half] = PARTS.map(|(part, _)| part);
        println!(
            "{}, one cache: hit % of {all}, and of the {half}",
            setup.trace
        );
        let names = Choice::ALL.map(Choice::name);
        let names: String = names.iter().map(|name| format!(" {name:>15}")).collect();
        println!("  {:>8}{names}", "M tokens");
        for size in setup.sizes {
            missed.extend(one_size(&trace, &setup, *size));
        }
    }
    missed
}

fn one_size(trace: &Trace, setup: &Setup, size: (u64, f64)) -> Vec<String> {
    let (size, published) = size;
    let blocks = trace.blocks_of(size * 100_000);
    let ratios = Choice::ALL.map(|choice| {
        let hits = hits(trace, blocks, choice);
        PARTS.map(|(_, warm_up)| ratio(trace, &hits, warm_up))
    });
    let shown = ratios.map(|[all, half]| format!("   {:>5.2}  {:>5.2}", 100.0 * all, 100.0 * half));
    let [lru, s3_fifo, density] = ratios;
    let size_m = size as f64 / 10.0;
    let behind = 100.0 * (s3_fifo[1] - density[1]);
    let remark = match behind > 100.0 * BEHIND_MAX {
        true => format!("   (s3-fifo is {behind:.2} points ahead in the second half)"),
        false => String::new(),
    };
    println!("  {size_m:>8.1}{}{remark}", shown.concat());
    let mut missed = Vec::new();
    // The published one is of all requests.
    let bars = [lru[0].max(published / 100.0), lru[1]];
    for (place, (part, _)) in PARTS.iter().enumerate() {
        let (ours, lru, bar) = (density[place], lru[place], bars[place]);
        let at = format!("{} at {size_m} M tokens, {part}", setup.trace);
        if ours < bar - BEHIND_MAX {
            missed.push(format!("{at}: {:.2} points behind", 100.0 * (bar - ours)));
        }
        if let Some(times) = setup.times_lru
            && SMALL.contains(&size)
            && ours < times * lru
        {
            missed.push(format!("{at}: {:.3} times LRU, not {times}", ours / lru));
        }
    }
    missed
}
