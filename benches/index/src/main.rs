//! The index beside its peers: `cargo xtask bench index [--quick] [--ours] [PART..]`.
//!
//! `--quick`: a fifth of the work, one round. `--ours`: without the peers, for work on the index.
//! Parts: w1, w2, trace, readers, decode; all of them where none is named. Each bar is printed with
//! our figure, the best peer's and their ratio; the exit status tells whether all hold.

mod decoding;
mod meter;
mod readers;
mod report;
mod side_by_side;
mod subjects;
mod trace;
mod truth;
mod work;

use std::process::ExitCode;
use std::time::Instant;

use side_by_side::Rounds;
use subjects::SUBJECTS;

#[global_allocator]
static HEAP: meter::Counting = meter::Counting;

const USAGE: &str =
    "usage: bench index [--quick] [--ours] [--rounds N] [w1 | w2 | trace | readers | decode]..";

/// What to run.
struct Plan {
    parts: Vec<String>,
    rounds: Rounds,
    pairs: usize,
    requests: usize,
}

impl Plan {
    fn read(args: impl Iterator<Item = String>) -> Option<Self> {
        let (mut parts, mut quick, mut ours, mut rounds) = (Vec::new(), false, false, None);
        let mut args = args;
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--quick" => quick = true,
                "--ours" => ours = true,
                "--rounds" => {
                    rounds = Some(args.next()?.parse().ok().filter(|rounds| *rounds > 0)?)
                }
                "w1" | "w2" | "trace" | "readers" | "decode" => parts.push(arg),
                _ => return None,
            }
        }
        Some(Self {
            parts,
            rounds: Rounds {
                count: rounds.unwrap_or(if quick { 1 } else { 5 }),
                subjects: if ours { 1 } else { SUBJECTS.len() },
            },
            pairs: if quick { work::PAIRS / 5 } else { work::PAIRS },
            requests: if quick { 2_000 } else { usize::MAX },
        })
    }

    fn has(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|named| named == part)
    }
}

fn main() -> ExitCode {
    let Some(plan) = Plan::read(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(64);
    };
    let start = Instant::now();
    let mut report = report::Report::default();
    if plan.has("decode") {
        decoding::measure(&mut report);
    }
    if plan.has("w1") || plan.has("readers") {
        let work = work::make(work::W1, plan.pairs);
        if plan.has("w1") {
            side_by_side::measure(&work, plan.rounds, &mut report);
        }
        if plan.has("readers") {
            readers::measure(&work, plan.rounds.count, &mut report);
        }
    }
    if plan.has("w2") {
        let work = work::make(work::W2, plan.pairs);
        side_by_side::measure(&work, plan.rounds, &mut report);
    }
    if plan.has("trace") {
        match trace::requests(plan.requests) {
            Ok(requests) => {
                side_by_side::replay(&requests, plan.rounds, &mut report);
            }
            Err(why) => println!("\ntrace: skipped: {why}"),
        }
    }
    println!("\n{:.0} s", start.elapsed().as_secs_f64());
    if report.finish() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
