//! What is counted of requests that wait.

use super::Maker;
use crate::flow::{Outcome, Used};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
};
use std::sync::atomic::AtomicU64;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
    priority: i32,
}

/// What is counted of requests that wait.
#[derive(Debug)]
pub(crate) struct FlowMetrics {
    requests: Family<OutcomeLabels, Counter>,
    pub(crate) waited: Histogram,
    size: Gauge,
    bytes: Gauge,
    pub(crate) saturation: Gauge<f64, AtomicU64>,
}

impl FlowMetrics {
    pub(super) fn new(made: &mut Maker) -> Self {
        Self {
            requests: made.add(
                "llm_d_epp_flow_control_requests",
                "Requests that waited for their turn, by how that ended",
            ),
            waited: made.histogram(
                "llm_d_epp_flow_control_request_queue_duration_seconds",
                "How long those waited that were sent on",
                exponential_buckets(0.000_1, 3.0, 14),
            ),
            size: made.add("llm_d_epp_flow_control_queue_size", "Requests that wait"),
            bytes: made.add(
                "llm_d_epp_flow_control_queue_bytes",
                "Bytes of the bodies of requests that wait",
            ),
            saturation: made.add(
                "llm_d_epp_flow_control_pool_saturation",
                "How loaded the pool is; from 1 on requests wait",
            ),
        }
    }

    pub(crate) fn ended(&self, outcome: Outcome, priority: i32) {
        let outcome = outcome.name();
        let labels = OutcomeLabels { outcome, priority };
        self.requests.get_or_create(&labels).inc();
    }

    pub(crate) fn waits(&self, used: Used) {
        let number = |count| i64::try_from(count).unwrap_or(i64::MAX);
        self.size.set(number(used.requests));
        self.bytes.set(number(used.bytes));
    }
}
