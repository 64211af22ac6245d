use super::*;

const LIMITS: CircuitLimits = CircuitLimits {
    failures: 2,
    open: Duration::from_secs(5),
};

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn opens_after_failures_in_a_row_only() {
    let circuit = Circuit::default();
    assert!(!circuit.failed(at(1), &LIMITS));
    circuit.succeeded();
    assert!(!circuit.failed(at(2), &LIMITS));
    assert_eq!(circuit.gate(at(2)), Gate::Closed);
    assert!(circuit.failed(at(3), &LIMITS));
    assert_eq!(circuit.gate(at(3)), Gate::Open);
    assert_eq!(circuit.gate(at(7)), Gate::Open);
    assert_eq!(circuit.gate(at(8)), Gate::HalfOpen);
}

#[test]
fn one_probe_decides() {
    let circuit = Circuit::default();
    circuit.failed(at(0), &LIMITS);
    circuit.failed(at(0), &LIMITS);
    circuit.enter(at(5), &LIMITS);
    assert_eq!(circuit.gate(at(5)), Gate::Open, "others wait for the probe");
    assert!(!circuit.failed(at(6), &LIMITS), "it was open already");
    assert_eq!(circuit.gate(at(10)), Gate::Open);
    circuit.enter(at(11), &LIMITS);
    assert!(circuit.succeeded());
    assert_eq!(circuit.gate(at(11)), Gate::Closed);
}
