//! The `onefill` program: arguments, configuration, logs; one file a subcommand.
#![forbid(unsafe_code)]

mod advise;
pub mod config;
mod demo;
mod dropin;
mod engine;
mod function;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod intent;
mod logs;
mod picker;
mod plan;
mod router;
mod simulate;
mod stop;
mod store;
mod trace;

use clap::{CommandFactory as _, Parser, Subcommand};
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
    /// The Envoy endpoint picker of the Gateway API Inference Extension
    Picker(Box<picker::Arguments>),
    /// KV blocks for engines to share: lm://, RESP
    Store(Box<store::Arguments>),
    /// A simulated vLLM replica, for tests and load
    Engine(Box<engine::Arguments>),
    /// Simulated replicas and a router: round robin beside kv
    Demo(demo::Arguments),
    /// Policies side by side on a trace, on simulated time
    Simulate(Box<simulate::Arguments>),
    /// What would run for an LLMInference, and why, in words and numbers
    Explain(intent::ExplainArguments),
    /// The objects that an LLMInference comes to
    Render(intent::RenderArguments),
    /// The definition of LLMInference, for kubectl apply
    Xrd,
    /// The store as LMCache's own server is started
    #[command(name = "lmcache-server", arg_required_else_help = true)]
    LmcacheServer {
        /// Address for lm:// clients
        host: String,
        /// Its port
        port: u16,
        /// Read and not used
        device: Option<String>,
    },
    /// The Crossplane composition function
    Function(function::Arguments),
    /// What each option would bring to a fleet, from what was asked of it
    Advise(Box<advise::Arguments>),
    /// How big, and whether it pays: sizes of a model's cache and the section that asks for them
    Plan(Box<plan::Arguments>),
}

/// Runs the program with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    let words = dropin::translate(std::env::args_os().collect(), &Arguments::command());
    let words = match words {
        Ok(words) => words,
        Err(fault) => {
            logs::say(format_args!("onefill: {fault}"));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    for warning in &words.warnings {
        logs::say(format_args!("onefill: {warning}"));
    }
    let arguments = match Arguments::try_parse_from(words.arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            _ = error.print(); // nobody is left to tell if standard error is closed
            return ExitCode::from(if error.use_stderr() { EXIT_USAGE } else { 0 });
        }
    };
    let done = match arguments.command {
        Command::Router(arguments) => router::run(&arguments),
        Command::Picker(arguments) => picker::run(&arguments),
        Command::Store(arguments) => store::run(&arguments),
        Command::Engine(arguments) => engine::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Explain(arguments) => intent::explain(&arguments),
        Command::Render(arguments) => intent::render(&arguments),
        Command::Xrd => Ok(intent::xrd()),
        // Its arguments were translated into the store's before.
        Command::LmcacheServer { .. } => Ok(ExitCode::from(EXIT_USAGE)),
        Command::Function(arguments) => function::run(&arguments),
        Command::Advise(arguments) => advise::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
    };
    done.unwrap_or_else(|error| {
        logs::say(format_args!("onefill: {error:#}"));
        ExitCode::FAILURE
    })
}
