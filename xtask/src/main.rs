//! Developer tasks: `cargo xtask test`, `cargo xtask bench NAME`, `cargo xtask vllm`.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

mod bench;
mod law;
mod licences;
mod peers;
mod plug;
mod shell;
mod test;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask TASK

  test            install what the tests need, then run every test, those with real peers too
  test --fast     leave the tests with real peers (vLLM, LMCache, Redis, Envoy) out
  test NAME...    only these parts: lint, rust, law, licences, store, vllm, plug, pick
  bench NAME      a benchmark beside the peers: index, policies, router, fleet,
                  store, picker (further arguments go to it); chaos [SECONDS]: ten minutes of faults under load
  vllm            install the vLLM peer into the cache folder and say where it is
  lmcache         the same for the LMCache peer
  wheel           build the Python package and say where the wheel is
  peers           install the peers of the benchmarks

The cache folder is $ONEFILL_CACHE, or ~/.cache/onefill.";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test", parts @ ..] => test::run(parts),
        ["bench", name, rest @ ..] => bench::run(name, rest),
        ["vllm"] => peers::vllm().map(|peer| println!("vLLM peer: {}", peer.display())),
        ["lmcache"] => peers::lmcache().map(|peer| println!("LMCache peer: {}", peer.display())),
        ["wheel"] => plug::wheel().map(|wheel| println!("wheel: {}", wheel.display())),
        ["peers"] => peers::routers().map(|peer| println!("router peers: {}", peer.display())),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(64);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
