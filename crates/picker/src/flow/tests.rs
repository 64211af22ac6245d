use super::Outcome;
use crate::refusal::Refusal;

#[test]
fn each_end_of_a_wait_has_the_references_status_and_reason() {
    for (outcome, told) in [
        (Outcome::Dispatched, None),
        (Outcome::RejectedCapacity, Some((429, "rejected-saturated"))),
        (Outcome::EvictedTtl, Some((429, "rejected-ttl-expired"))),
        (
            Outcome::RejectedNoEndpoints,
            Some((503, "rejected-no-endpoints")),
        ),
        (
            Outcome::EvictedContextCancelled,
            Some((503, "rejected-context-cancelled")),
        ),
        (
            Outcome::RejectedOther,
            Some((503, "rejected-shutting-down")),
        ),
    ] {
        let reason = |refusal: Refusal| {
            let reason = refusal.reason.map_or("", |reason| reason.name());
            (refusal.code.status(), reason)
        };
        assert_eq!(outcome.refusal().map(reason), told, "{}", outcome.name());
    }
}
