use super::*;

fn workload(seed: u64, requests: usize) -> Workload {
    Workload::new(seed, requests, &Scale::SIMULATED)
}

#[test]
fn a_seed_gives_the_same_requests_and_another_gives_others() {
    assert_eq!(workload(1, 100), workload(1, 100));
    assert_ne!(workload(1, 100), workload(2, 100));
}

#[test]
fn there_are_as_many_requests_as_asked_for() {
    for requests in [1, 2, 19, 20, 240] {
        let workload = workload(3, requests);
        assert_eq!(workload.requests(), requests);
        let turns: usize = workload.sessions.iter().map(|one| one.turns.len()).sum();
        assert_eq!(turns, requests);
        for (place, session) in workload.sessions.iter().enumerate() {
            let mine = workload.order.iter().filter(|(one, _)| *one == place);
            let turns: Vec<usize> = mine.map(|(_, turn)| *turn).collect();
            assert_eq!(turns, (0..session.turns.len()).collect::<Vec<_>>());
        }
    }
}

#[test]
fn documents_are_shared_and_sessions_interleave() {
    let workload = workload(5, 240);
    let mut systems: Vec<&str> = workload
        .sessions
        .iter()
        .filter(|session| session.kind == Kind::Document)
        .map(|session| session.system.as_str())
        .collect();
    let count = systems.len();
    systems.sort_unstable();
    systems.dedup();
    assert_eq!((count, systems.len()), (96, Scale::SIMULATED.documents));
    let next_is_other = workload
        .order
        .windows(2)
        .filter(|pair| pair[0].0 != pair[1].0);
    assert!(next_is_other.count() > 200);
}
