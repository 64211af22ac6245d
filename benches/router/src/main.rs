//! The router beside `smg` and `vllm-router`, in front of the same simulated replicas, in one run.
//!
//! Run by `cargo xtask bench router [--rounds N] [--requests N] [--seconds N]`. Every door is up all
//! the time and they take turns, so that a noisy moment of the machine is everybody's. A
//! conversation grows by a turn a request, from 4 to 12 KB, and then another begins.
//!
//! Needs ONEFILL_BIN, ONEFILL_PEERS (a virtual environment) and ONEFILL_TOKENIZER (a folder).

mod client;
mod conversation;
mod doors;
mod figures;
mod goals;

use anyhow::{Context, Result, bail};
use doors::Door;
use figures::Figures;
use std::time::Duration;

/// How much is measured.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    /// Requests of each door and round over one connection.
    requests: usize,
    /// Time of each door and round over sixteen.
    seconds: f64,
}

impl Effort {
    fn of(arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut effort = Self {
            rounds: 5,
            requests: 400,
            seconds: 3.0,
        };
        let mut words = arguments;
        while let Some(word) = words.next() {
            let mut number = || words.next().context("a number is missing");
            match word.as_str() {
                "--rounds" => effort.rounds = number()?.parse()?,
                "--requests" => effort.requests = number()?.parse()?,
                "--seconds" => effort.seconds = number()?.parse()?,
                other => bail!("unknown argument {other:?}"),
            }
        }
        Ok(effort)
    }
}

const CONNECTIONS: usize = 16;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let effort = Effort::of(std::env::args().skip(1))?;
    let stand = doors::Stand::start().await?;
    let mut table: Vec<(&Door, Figures)> = stand
        .doors
        .iter()
        .map(|door| (door, Figures::default()))
        .collect();
    for round in 0..effort.rounds {
        for (place, (door, figures)) in table.iter_mut().enumerate() {
            let seed = (round * 100 + place) as u64;
            let alone = client::in_turn(&stand.vocabulary, door.port, seed, effort.requests).await;
            figures.alone.extend(alone.with_context(|| door.name)?);
        }
        for (place, (door, figures)) in table.iter_mut().enumerate() {
            let seed = (10_000 + round * 100 + place) as u64;
            let span = Duration::from_secs_f64(effort.seconds);
            let before = door.cpu_s();
            let load = client::at_once(&stand.vocabulary, door.port, seed, CONNECTIONS, span).await;
            let load = load.with_context(|| door.name)?;
            figures
                .cpu_s
                .push((door.cpu_s() - before) / load.latencies_us.len().max(1) as f64);
            figures.loaded.push(load);
        }
        eprintln!("round {} of {}", round + 1, effort.rounds);
    }
    let missed = goals::report(&table);
    drop(table);
    if missed > 0 {
        bail!("{missed} goals missed");
    }
    Ok(())
}
