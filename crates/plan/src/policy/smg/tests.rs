use super::*;

#[test]
fn a_holder_is_spilled_only_when_both_bounds_are_passed() {
    assert!(!is_spilled(6.0, 2.0), "four over the mean may be chance");
    assert!(is_spilled(7.0, 2.0));
    assert!(
        !is_spilled(110.0, 100.0),
        "the swing of a mean of 100 is 10"
    );
    assert!(is_spilled(111.0, 100.0));
    assert!(
        !is_spilled(1032.0, 1000.0) && is_spilled(1133.0, 1000.0),
        "never more than 32, but a tenth"
    );
}

#[test]
fn the_expected_wait() {
    assert_eq!(wait_s(20_000.0, 0.0), 2.0);
    assert!((wait_s(0.0, 0.5) - 0.15).abs() < 1e-12);
}
