use super::*;
use onefill_schedule::ReplicaLoad;

fn seat(waiting: u32, kv_usage: f32) -> Seat {
    let load = ReplicaLoad {
        waiting,
        kv_usage,
        ..ReplicaLoad::default()
    };
    Seat {
        load,
        ..Seat::default()
    }
}

#[test]
fn the_published_scorers_and_weights() {
    // Queues {10, 5, 0} score {0, 0.5, 1}; equal queues 1.
    let of = |waiting| score(0.0, &seat(waiting, 1.0), (0, 10));
    assert_eq!([of(10), of(5), of(0)], [0.0, 1.0, 2.0]);
    assert_eq!(score(0.0, &seat(7, 1.0), (7, 7)), 2.0);
    assert_eq!(score(0.0, &seat(10, 0.25), (0, 10)), 1.5);
    assert_eq!(score(0.5, &seat(10, 1.0), (0, 10)), 1.5);
    assert_eq!(score(1.0, &seat(0, 0.0), (0, 10)), 7.0);
}
