//! The client of `onefill store` for Python: calls return at once, threads of its own make them with
//! the interpreter's lock released, blocks go between socket and caller's memory without a copy.

mod bell;
mod buffer;
mod client;
mod job;
mod lane;
mod watch;

/// The native part of `onefill`.
#[pyo3::pymodule]
mod _native {
    #[pymodule_export]
    use super::client::{Client, Outcome};
}
