//! The store beside Redis and LMCache's own server, and a raw TCP copy as the kernel's limit: GB/s,
//! the server's CPU seconds per GB, and the time of an EXISTS. All in one run on one machine, the
//! servers by turns, so that what else the machine does meets all of them.
//!
//! Behind that the disk tier beside `fio`; with `--only disk` nothing else.
//!
//! `store-bench [--rounds N] [--seconds S] [--only disk]`; environment: ONEFILL_BIN, ONEFILL_LMCACHE (see
//! `cargo xtask bench store`).

mod client;
mod disk;
mod measure;
mod server;

use measure::{Figure, Measure};
use server::Server;
use std::{collections::BTreeMap, io, process::ExitCode};

const SIZES: [(&str, usize); 3] = [
    ("64 KiB", 64 << 10),
    ("2 MiB", 2 << 20),
    ("32 MiB", 32 << 20),
];
const CONNECTIONS: [usize; 2] = [1, 8];

/// CPU seconds per GB that the store may take at 32 MiB.
const PUT_CPU_MAX: f64 = 0.35;
const GET_CPU_MAX: f64 = 0.30;

/// Which figures are divided by which.
const RATIOS: [(&str, &str); 3] = [
    ("onefill resp", "redis"),
    ("onefill lm", "lmcache_server"),
    ("onefill resp", "raw tcp"),
];

type Table = BTreeMap<(usize, usize, usize), Vec<Figure>>;

fn main() -> ExitCode {
    let raw = argument("--raw", 0.0) as u16;
    let outcome = match raw {
        0 if std::env::args().any(|argument| argument == "disk") => disk::run(rounds()),
        0 => run().and_then(|kept| Ok(disk::run(rounds())? && kept)),
        port => server::raw(port).map(|()| true),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("store-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn argument(name: &str, default: f64) -> f64 {
    let arguments: Vec<String> = std::env::args().collect();
    let at = arguments.iter().position(|argument| argument == name);
    at.and_then(|at| arguments.get(at + 1)?.parse().ok())
        .unwrap_or(default)
}

fn rounds() -> usize {
    argument("--rounds", 3.0) as usize
}

fn run() -> io::Result<bool> {
    let rounds = rounds();
    let seconds = argument("--seconds", 0.7);
    let servers = Server::all()?;
    let mut table = Table::new();
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for (size_index, (_, size)) in SIZES.iter().enumerate() {
            for (count_index, connections) in CONNECTIONS.iter().enumerate() {
                for (index, server) in servers.iter().enumerate() {
                    let measure = Measure {
                        size: *size,
                        connections: *connections,
                        seconds,
                    };
                    let named = |error| io::Error::other(format!("{}: {error}", server.name));
                    let figure = measure.run(server).map_err(named)?;
                    let key = (size_index, count_index, index);
                    table.entry(key).or_default().push(figure);
                }
            }
        }
    }
    Ok(report(&servers, &table))
}

fn report(servers: &[Server], table: &Table) -> bool {
    println!(
        "| size, connections | server | PUT GB/s | GET GB/s | PUT CPU s/GB | GET CPU s/GB | EXISTS p50 us |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut kept = true;
    for (size_index, (size, _)) in SIZES.iter().enumerate() {
        for (count_index, connections) in CONNECTIONS.iter().enumerate() {
            let title = format!("{size}, {connections}");
            let figures = servers.iter().enumerate().map(|(index, server)| {
                let rounds = &table[&(size_index, count_index, index)];
                (server.name, Figure::best(rounds))
            });
            let figures: BTreeMap<&str, Figure> = figures.collect();
            for server in servers {
                row(&title, server.name, &figures[server.name], "");
            }
            for (ours, theirs) in RATIOS {
                if let (Some(ours_figure), Some(theirs_figure)) =
                    (figures.get(ours), figures.get(theirs))
                {
                    let name = format!("**{ours} / {theirs}**");
                    row(&title, &name, &ours_figure.over(theirs_figure), "x");
                }
            }
            if *size == "32 MiB" {
                kept &= holds(&title, &figures["onefill resp"]);
            }
        }
    }
    kept
}

fn row(title: &str, name: &str, figure: &Figure, unit: &str) {
    let Figure {
        put_rate,
        get_rate,
        put_cpu,
        get_cpu,
        exists_us,
    } = figure;
    println!(
        "| {title} | {name} | {put_rate:.2}{unit} | {get_rate:.2}{unit} | {put_cpu:.3}{unit} | {get_cpu:.3}{unit} | {exists_us:.1}{unit} |"
    );
}

fn holds(title: &str, figure: &Figure) -> bool {
    let holds = figure.put_cpu <= PUT_CPU_MAX && figure.get_cpu <= GET_CPU_MAX;
    println!(
        "{} {title}: CPU s/GB PUT {:.3} (<= {PUT_CPU_MAX}), GET {:.3} (<= {GET_CPU_MAX})",
        if holds { "ok    " } else { "FAILED" },
        figure.put_cpu,
        figure.get_cpu,
    );
    holds
}
