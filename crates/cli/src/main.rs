//! The `onefill` program.
fn main() {}
