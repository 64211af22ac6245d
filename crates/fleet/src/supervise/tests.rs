use super::{Figures, Silence};
use std::time::{Duration, Instant};

/// What is thought after these (seconds, computed tokens, batches).
fn silent(seen: &[(u64, f64, u64)]) -> bool {
    let (start, mut silence) = (Instant::now(), Silence::default());
    for (at_s, computed_tokens, batches) in seen {
        let figures = Figures {
            computed_tokens: *computed_tokens,
            block_tokens: Some(16),
            ..Figures::default()
        };
        silence.judge(start + Duration::from_secs(*at_s), &figures, *batches);
    }
    silence.silent
}

#[test]
fn work_without_events_is_silence() {
    assert!(silent(&[
        (0, 0.0, 5),
        (1, 0.0, 5),
        (2, 900.0, 5),
        (6, 990.0, 5)
    ]));
    assert!(silent(&[
        (0, 0.0, 0),
        (1, 100.0, 0),
        (2, 200.0, 0),
        (6, 300.0, 0)
    ]));
}

#[test]
fn tokens_counted_after_their_events_are_no_silence() {
    assert!(!silent(&[
        (0, 0.0, 5),
        (5, 900.0, 5),
        (10, 900.0, 5),
        (60, 900.0, 5)
    ]));
    assert!(!silent(&[
        (0, 0.0, 5),
        (1, 0.0, 5),
        (5, 900.0, 6),
        (10, 1800.0, 6),
        (15, 1800.0, 6)
    ]));
}

#[test]
fn a_batch_ends_silence() {
    let until = [
        (0, 0.0, 5),
        (1, 0.0, 5),
        (2, 900.0, 5),
        (6, 990.0, 5),
        (7, 990.0, 6),
    ];
    assert!(!silent(&until));
}
