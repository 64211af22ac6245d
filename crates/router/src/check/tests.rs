use super::*;

fn sample() -> Sample {
    Sample {
        door: Door::Completions,
        body: Bytes::from_static(b"{}"),
    }
}

#[test]
fn a_few_wrong_predictions_are_evictions() {
    let drift = Drift::default();
    for count in 0..10_000 {
        drift.observe(count % 3 == 0, sample());
    }
    assert!(drift.sample.lock().is_none());
}

#[test]
fn many_wrong_predictions_are_looked_into() {
    let drift = Drift::default();
    for _ in 0..WRONG_MAX {
        drift.observe(true, sample());
    }
    assert!(drift.sample.lock().is_some());
}
