//! Pods of a label selector, listed again and again from the API server. A list that need not be the newest
//! (`resourceVersion=0`) comes from the server's memory; the right to list pods is enough, which is what
//! the production stack's operator gives to a router.

mod api;

use crate::ReplicaSpec;
use api::Api;
use serde_json::Value as Json;
use std::{net::SocketAddr, time::Duration};

/// How often pods are listed.
const INTERVAL: Duration = Duration::from_secs(2);
/// Port of a replica, where neither the flags nor the pod say one: vLLM's.
const PORT: u16 = 8000;

/// Follows the pods with this label selector.
pub(crate) async fn watch(
    namespace: Option<String>,
    selector: &str,
    port: Option<u16>,
    tell: &impl Fn(Vec<ReplicaSpec>),
) {
    let api = match Api::of_this_pod() {
        Ok(api) => api,
        Err(error) => {
            tracing::error!(%error, "replicas can't be looked for in Kubernetes");
            return std::future::pending().await;
        }
    };
    let namespace = namespace.unwrap_or_else(|| api.namespace());
    let path = format!(
        "/api/v1/namespaces/{}/pods?resourceVersion=0&labelSelector={}",
        escaped(&namespace),
        escaped(selector)
    );
    loop {
        match api.get(&path).await {
            Ok(pods) => tell(replicas(&pods, port)),
            // Replicas that serve go on serving.
            Err(error) => tracing::warn!(%error, "pods can't be listed"),
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// The ready pods of a list, by address.
fn replicas(pods: &Json, port: Option<u16>) -> Vec<ReplicaSpec> {
    let pods = pods["items"].as_array().into_iter().flatten();
    let mut found: Vec<SocketAddr> = pods.filter_map(|pod| address(pod, port)).collect();
    found.sort_unstable();
    let spec = |address| ReplicaSpec {
        url: format!("http://{address}"),
        ..ReplicaSpec::default()
    };
    found.into_iter().map(spec).collect()
}

/// Where a pod serves; `None` while it is not ready, or when it is about to go.
fn address(pod: &Json, port: Option<u16>) -> Option<SocketAddr> {
    let ready = |each: &Json| each["type"] == "Ready" && each["status"] == "True";
    let conditions = pod["status"]["conditions"].as_array()?;
    let going = !pod["metadata"]["deletionTimestamp"].is_null();
    if going || !conditions.iter().any(ready) {
        return None;
    }
    let said = || pod["spec"]["containers"][0]["ports"][0]["containerPort"].as_u64();
    let port = port.or_else(|| said()?.try_into().ok()).unwrap_or(PORT);
    let ip = pod["status"]["podIP"].as_str()?.parse().ok()?;
    Some(SocketAddr::new(ip, port))
}

/// A text within a URL.
fn escaped(text: &str) -> String {
    let mut url = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                url.push(char::from(byte));
            }
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

#[cfg(test)]
mod tests;
