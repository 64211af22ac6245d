#[path = "../../../../fuzz/replay.rs"]
mod replay;

#[test]
fn seeds_of_index() {
    replay::replay("index", super::streams);
}
