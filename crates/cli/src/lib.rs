//! The `onefill` program: arguments, configuration, logs; one file a subcommand.
#![forbid(unsafe_code)]

mod advise;
pub mod config;
mod demo;
mod engine;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod logs;
mod plan;
mod router;
mod simulate;
mod stop;
mod store;
mod trace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Arguments or a configuration that can't be used (`EX_USAGE` of sysexits.h).
const EXIT_USAGE: u8 = 64;

/// Routes requests to the vLLM replica that holds their prefix.
#[derive(Debug, Parser)]
#[command(name = "onefill", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The OpenAI-compatible front door of a fleet
    Router(Box<router::Arguments>),
    /// KV blocks for engines to share: lm://, RESP
    Store(Box<store::Arguments>),
    /// A simulated vLLM replica, for tests and load
    Engine(Box<engine::Arguments>),
    /// Simulated replicas and a router: round robin beside kv
    Demo(demo::Arguments),
    /// Policies side by side on a trace, on simulated time
    Simulate(Box<simulate::Arguments>),
    /// What each option would bring to a fleet, from what was asked of it
    Advise(Box<advise::Arguments>),
    /// How big, and whether it pays: sizes of a model's cache and the section that asks for them
    Plan(Box<plan::Arguments>),
}

/// Runs the program with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            _ = error.print(); // nobody is left to tell if standard error is closed
            return ExitCode::from(if error.use_stderr() { EXIT_USAGE } else { 0 });
        }
    };
    let done = match arguments.command {
        Command::Router(arguments) => router::run(&arguments),
        Command::Store(arguments) => store::run(&arguments),
        Command::Engine(arguments) => engine::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Advise(arguments) => advise::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
    };
    done.unwrap_or_else(|error| {
        logs::say(format_args!("onefill: {error:#}"));
        ExitCode::FAILURE
    })
}
