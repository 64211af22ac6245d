use super::{Queues, Used};
use crate::flow::rules::{Band, Fairness, Flows, Room};
use std::time::Duration;

const T0: Duration = Duration::from_secs(100);

fn s(seconds: u64) -> Duration {
    T0 + Duration::from_secs(seconds)
}

/// Enters requests as (priority, flow) and gives the order in which they go.
fn order(rules: Flows, come: &[(i32, &str)]) -> Vec<u64> {
    let mut queues = Queues::new(rules);
    for (priority, flow) in come {
        queues.enter(*priority, flow, 1, T0).expect("room");
    }
    std::iter::from_fn(|| queues.next(T0))
        .map(|(number, _)| number)
        .collect()
}

fn round_robin() -> Flows {
    Flows {
        band: Band {
            fairness: Fairness::RoundRobin,
            ..Band::default()
        },
        ..Flows::default()
    }
}

#[test]
fn a_higher_priority_goes_first_whenever_it_came() {
    let come = [(0, "a"), (-1, "a"), (5, "a"), (0, "b"), (5, "b")];
    assert_eq!(order(Flows::default(), &come), [2, 4, 0, 3, 1]);
}

#[test]
fn by_default_whoever_came_first_goes_first_whosever_it_is() {
    let come = [(0, "a"), (0, "a"), (0, "a"), (0, "b")];
    assert_eq!(order(Flows::default(), &come), [0, 1, 2, 3]);
}

#[test]
fn round_robin_takes_flows_in_turn() {
    let come = [(0, "a"), (0, "a"), (0, "a"), (0, "b"), (0, "c"), (0, "b")];
    assert_eq!(order(round_robin(), &come), [0, 3, 4, 1, 5, 2]);
}

#[test]
fn a_band_and_all_bands_have_room_for_so_many() {
    let room = |requests| Room {
        requests,
        bytes: 10,
    };
    let band = |requests| Band {
        room: room(requests),
        ..Band::default()
    };
    let rules = Flows {
        room: Room {
            requests: 4,
            ..Room::ENDLESS
        },
        band: band(2),
        negative: Some(band(1)),
        bands: [(7, band(3))].into(),
        ..Flows::default()
    };
    let mut queues = Queues::new(rules);
    let mut enter = |priority, bytes| queues.enter(priority, "f", bytes, T0).is_some();
    assert!(enter(-1, 1) && !enter(-1, 1), "one under 0");
    assert!(enter(0, 9) && !enter(0, 2), "ten bytes");
    assert!(
        enter(0, 1) && !enter(0, 0),
        "two of a priority that is not named"
    );
    assert!(enter(7, 1) && !enter(7, 1), "four of all");
    assert!(queues.next(T0).is_some());
    assert!(queues.enter(7, "f", 1, T0).is_some(), "one has gone");
    assert_eq!(
        queues.used(),
        Used {
            requests: 4,
            bytes: 12
        }
    );
}

#[test]
fn who_leaves_is_not_there_any_more_and_cannot_leave_twice() {
    let mut queues = Queues::new(Flows::default());
    let places: Vec<_> = (0..3).filter_map(|_| queues.enter(0, "a", 5, T0)).collect();
    assert!(queues.leave(&places[1]) && !queues.leave(&places[1]));
    assert_eq!(queues.next(s(2)), Some((0, Duration::from_secs(2))));
    assert!(!queues.leave(&places[0]), "it has gone already");
    assert_eq!(queues.next(T0).map(|(number, _)| number), Some(2));
    assert!(queues.is_empty() && queues.next(T0).is_none());
    assert_eq!(queues.used(), Used::default());
}

#[test]
fn nobody_waits_longer_than_the_time_that_is_given() {
    let mut queues = Queues::new(Flows {
        ttl: Some(Duration::from_secs(10)),
        ..Flows::default()
    });
    queues.enter(0, "a", 1, s(0)).expect("room");
    queues.enter(0, "b", 1, s(4)).expect("room");
    queues.enter(3, "a", 1, s(5)).expect("room");
    assert!(queues.expired(false, s(9)).is_empty());
    assert_eq!(queues.expired(false, s(10)), [0]);
    assert_eq!(queues.expired(false, s(15)), [2, 1]);
    assert!(queues.is_empty());
}

#[test]
fn a_pool_that_was_empty_gives_a_new_time_within_the_longer_one() {
    let mut queues = Queues::new(Flows {
        ttl: Some(Duration::from_secs(10)),
        ttl_empty: Some(Duration::from_secs(30)),
        ..Flows::default()
    });
    assert!(queues.expired(true, s(0)).is_empty());
    queues.enter(0, "a", 1, s(0)).expect("room");
    assert!(
        queues.expired(true, s(15)).is_empty(),
        "thirty seconds while it is empty"
    );
    assert!(
        queues.expired(false, s(16)).is_empty(),
        "and ten from now on"
    );
    assert!(queues.expired(false, s(25)).is_empty());
    assert_eq!(queues.expired(false, s(26)), [0]);
    queues.enter(0, "a", 1, s(30)).expect("room");
    assert!(queues.expired(true, s(39)).is_empty());
    assert!(queues.expired(false, s(58)).is_empty());
    assert_eq!(
        queues.expired(false, s(60)),
        [1],
        "thirty seconds are the most"
    );
}

#[test]
fn without_a_time_requests_wait_as_long_as_their_clients() {
    let mut queues = Queues::new(Flows {
        ttl: None,
        ..Flows::default()
    });
    queues.enter(0, "a", 1, s(0)).expect("room");
    assert!(queues.expired(false, s(1_000_000)).is_empty());
}
