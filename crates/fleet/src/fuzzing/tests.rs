#[path = "../../../../fuzz/replay.rs"]
mod replay;

#[test]
fn seeds_of_metrics() {
    replay::replay("metrics", super::metrics);
}
