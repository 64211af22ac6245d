//! When what was made works: told by the workload, not by its having been stored.

use crate::objects::{inner, wrapped};
use serde_json::Value;

/// What Crossplane is told of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ready {
    /// It works.
    Yes,
    /// It is not there, or does not work yet.
    No,
}

/// The question that provider-kubernetes asks of a manifest on its cluster; `None` for kinds that are
/// ready once they are there.
pub(crate) fn query(manifest: &Value) -> Option<&'static str> {
    match manifest["kind"].as_str()? {
        "VLLMRuntime" => Some(
            "has(object.status) && has(object.status.modelStatus) && object.status.modelStatus == 'Ready'",
        ),
        "Deployment" => Some(
            "object.spec.replicas == 0 || (has(object.status) && has(object.status.availableReplicas) && object.status.availableReplicas > 0)",
        ),
        "StatefulSet" => Some(
            "has(object.status) && has(object.status.readyReplicas) && object.status.readyReplicas > 0",
        ),
        _ => None,
    }
}

/// Whether an observed object works.
pub(crate) fn of(observed: Option<&Value>) -> Ready {
    let works = match observed {
        None => false,
        Some(object) if wrapped(object) => condition(object, "Ready"),
        Some(object) => plain(object),
    };
    if works { Ready::Yes } else { Ready::No }
}

fn plain(object: &Value) -> bool {
    let status = &object["status"];
    match object["kind"].as_str() {
        Some("VLLMRuntime") => status["modelStatus"] == "Ready",
        Some("Deployment") => {
            count(&object["spec"]["replicas"]) == Some(0) || running(object) > Some(0)
        }
        Some("StatefulSet") => running(object) > Some(0),
        _ => true,
    }
}

/// Replicas that serve, where the object tells.
pub(crate) fn running(object: &Value) -> Option<u64> {
    let manifest = inner(object);
    let field = match manifest["kind"].as_str() {
        Some("StatefulSet") => "readyReplicas",
        _ => "availableReplicas",
    };
    count(&manifest["status"][field])
}

/// A number that may have travelled as a double.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of replicas"
)]
pub(crate) fn count(value: &Value) -> Option<u64> {
    value
        .as_u64()
        .or_else(|| value.as_f64().map(|number| number as u64))
}

/// Whether a condition is True.
fn condition(object: &Value, kind: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|each| each["type"] == kind && each["status"] == "True")
}
