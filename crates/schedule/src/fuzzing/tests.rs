#[path = "../../../../fuzz/replay.rs"]
mod replay;

#[test]
fn seeds_of_usage() {
    replay::replay("usage", super::usage);
}
