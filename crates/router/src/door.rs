//! What a path is: a door of the engines, a page of the router's own, or nothing.

use http::Method;
use onefill_prompt::Door;

/// Where a request goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// To a replica.
    Forward(Door),
    /// The merged list of models.
    Models,
    /// Whether the router lives.
    Health,
    /// Whether a replica is up.
    Ready,
    /// Prometheus text.
    Metrics,
    /// Who would be picked for a body.
    DebugRoute,
    /// What is known of each replica.
    DebugFleet,
    /// The record of late.
    DebugRecord,
    /// Takes a replica out of the choice, or back in.
    Drain,
    /// Nothing.
    Unknown,
}

/// Where a request goes. Every `/v1` path is the engines'; the rest of their paths (metrics,
/// pausing, weights) is not for clients. Some pages are only on the admin address, where there is
/// one.
pub(crate) fn target(method: &Method, path: &str) -> Target {
    match path {
        "/v1/models" if method == Method::GET => Target::Models,
        "/health" | "/ping" => Target::Health,
        "/ready" => Target::Ready,
        "/metrics" => Target::Metrics,
        "/debug/route" => Target::DebugRoute,
        "/debug/fleet" => Target::DebugFleet,
        "/debug/record" => Target::DebugRecord,
        "/debug/drain" => Target::Drain,
        _ if path.starts_with("/v1/") => Target::Forward(Door::of(path)),
        _ => Target::Unknown,
    }
}

#[cfg(test)]
mod tests;
