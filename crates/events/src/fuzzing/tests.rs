#[path = "../../../../fuzz/replay.rs"]
mod replay;

use replay::replay;

#[test]
fn seeds_of_events() {
    replay("events", super::events);
}

#[test]
fn seeds_of_events_round_trip() {
    replay("events_round_trip", super::round_trip);
}
