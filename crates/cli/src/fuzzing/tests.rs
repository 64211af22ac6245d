#[path = "../../../../fuzz/replay.rs"]
mod replay;

#[test]
fn seeds_of_config() {
    replay::replay("config", super::config);
}
