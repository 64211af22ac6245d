use super::*;

fn sample() -> Sample {
    Sample {
        door: Door::Completions,
        body: Bytes::from_static(b"{}"),
    }
}

#[test]
fn a_few_wrong_predictions_are_evictions() {
    let trust = Trust::default();
    for count in 0..10_000 {
        trust.observe(count % 3 == 0, sample());
    }
    assert!(trust.drifted.lock().is_none());
}

#[test]
fn many_wrong_predictions_are_looked_into() {
    let trust = Trust::default();
    for _ in 0..WRONG_MAX {
        trust.observe(true, sample());
    }
    assert!(trust.drifted.lock().is_some());
}

#[test]
fn a_distrusted_model_may_be_trusted_again() {
    let trust = Trust::default();
    trust.set("a", false);
    assert_eq!(trust.agreed("a"), Some(false));
    assert_eq!(trust.agreed("b"), None, "b was never compared");
    trust.set("a", true);
    assert_eq!(trust.agreed("a"), Some(true));
}
