use super::Metrics;
use crate::{flow::Outcome, refusal::Code};

#[test]
fn older_names_tell_the_same_and_only_where_they_are_asked_for() {
    let metrics = Metrics::new(true);
    metrics.refused(Code::BadRequest);
    metrics.flow.ended(Outcome::Dispatched, 3);
    let text = metrics.text();
    for line in [
        "llm_d_epp_request_error_total{error_code=\"BadRequest\"} 1",
        "inference_objective_request_error_total{error_code=\"BadRequest\"} 1",
        "llm_d_epp_flow_control_requests_total{outcome=\"Dispatched\",priority=\"3\"} 1",
        "inference_extension_flow_control_requests_total{outcome=\"Dispatched\",priority=\"3\"} 1",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!Metrics::new(false).text().contains("inference_"));
}
