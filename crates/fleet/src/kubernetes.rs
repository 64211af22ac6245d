//! `EndpointSlices` of a Kubernetes service, listed again and again from the API server.

use crate::{Discovery, ReplicaSpec};

/// Follows the slices with this label selector.
pub(crate) async fn watch(
    namespace: Option<String>,
    selector: &str,
    port: Option<u16>,
    tell: &impl Fn(Vec<ReplicaSpec>),
) {
    let _ = (namespace, port, tell, Discovery::Static(Vec::new()));
    tracing::error!(
        selector,
        "discovery by EndpointSlices is not built in yet: use --dns or a file"
    );
    std::future::pending::<()>().await;
}
