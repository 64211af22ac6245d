//! The `onefill` program.

/// Requests make many short-lived allocations on each thread; the C library's allocator took a sixth
/// of the router's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    onefill::main()
}
