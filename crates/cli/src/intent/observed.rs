//! Objects of a cluster become the function's observed state.

use onefill_control::{Composed, Faults};
use serde_json::Value;
use std::collections::BTreeMap;

/// By key.
type Resources = BTreeMap<String, Value>;
type Found = BTreeMap<String, Vec<Value>>;

/// Composes with what was observed: first without it, to learn which object has which key, then with
/// it. A stored `LLMInference` among the objects gives its status.
pub(super) fn compose_with(
    xr: &mut Value,
    objects: &[Value],
    compose: impl Fn(&Value, &Resources, &Found) -> Result<Composed, Faults>,
) -> Result<Composed, Faults> {
    let first = compose(xr, &Resources::new(), &Found::new())?;
    if objects.is_empty() {
        return Ok(first);
    }
    let same = |object: &&Value| object["kind"] == xr["kind"] && name(object) == name(xr);
    if let Some(stored) = objects.iter().find(same) {
        xr["status"] = stored["status"].clone();
    }
    let mut observed = Resources::new();
    for object in objects {
        if let Some(key) = key(object, &first) {
            observed.insert(key, object.clone());
        }
    }
    let look = |need: &onefill_control::Need| -> Vec<Value> {
        let matches = |object: &&Value| {
            object["kind"] == need.kind && name(object) == Some(need.name.as_str())
        };
        objects.iter().filter(matches).cloned().collect()
    };
    let needs = first.needs.iter();
    let found = needs.map(|(key, need)| (key.clone(), look(need))).collect();
    compose(xr, &observed, &found)
}

fn name(object: &Value) -> Option<&str> {
    object["metadata"]["name"].as_str()
}

/// Crossplane's annotation, or else the object that has the same kind and name.
fn key(object: &Value, composed: &Composed) -> Option<String> {
    let annotation = &object["metadata"]["annotations"]["crossplane.io/composition-resource-name"];
    if let Some(key) = annotation.as_str() {
        return Some(key.to_owned());
    }
    let mut resources = composed.resources.iter();
    let same = |made: &Value| made["kind"] == object["kind"] && name(made) == name(object);
    let found = resources.find(|(_, resource)| same(&resource.object));
    found.map(|(key, _)| key.clone())
}
