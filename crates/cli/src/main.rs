//! The `onefill` program.

fn main() -> std::process::ExitCode {
    onefill::main()
}
