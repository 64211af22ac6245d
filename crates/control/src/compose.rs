//! The one function that decides: what is wanted and what is there -> objects, status, conditions.

use crate::{
    fault::Faults,
    objects::{self, Wrapping, wrap},
    ready::{self, Ready},
    settings::Settings,
    spec::Mode,
    status::{self, Condition, Note},
    wanted::Wanted,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// What is wanted, and what is there.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The `LLMInference` as it is stored.
    pub composite: &'a Value,
    /// What was made for it before, by key.
    pub observed: &'a BTreeMap<String, Value>,
    /// What was found of [`Composed::needs`], by key; a key that is missing was not looked for yet.
    pub found: &'a BTreeMap<String, Vec<Value>>,
    /// What the platform has decided.
    pub settings: &'a Settings,
    /// Whether manifests are wrapped.
    pub wrapping: Wrapping,
}

/// An object to make, and whether it works already.
#[derive(Clone, PartialEq, Debug)]
pub struct Resource {
    /// The whole object.
    pub object: Value,
    /// Whether what is there of it works.
    pub ready: Ready,
}

/// An object of somebody else's that is to be looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Need {
    /// Its group and version.
    pub api_version: &'static str,
    /// Its kind.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
}

/// What an `LLMInference` comes to now.
#[derive(Clone, PartialEq, Debug)]
pub struct Composed {
    /// Objects by their keys. What is not here any more is to be deleted.
    pub resources: BTreeMap<String, Resource>,
    /// `status` of the `LLMInference`; `None` where it says nothing of `kvCache`.
    pub status: Option<Value>,
    /// Conditions of the `LLMInference`.
    pub conditions: Vec<Condition>,
    /// What has changed since the status was written; nothing on most calls.
    pub notes: Vec<Note>,
    /// What to look for and call again with.
    pub needs: BTreeMap<String, Need>,
}

/// Key of the Gateway that was looked for.
pub(crate) const GATEWAY: &str = "gateway";

/// Decides. The same input gives the same result; every fault of the input is named at once.
pub fn compose(input: &Input<'_>) -> Result<Composed, Faults> {
    let wanted = Wanted::read(input.composite, input.settings)?;
    let provider = input.wrapping.provider(&wanted);
    let manifests = objects::all(&wanted, input.settings);
    let resource = |(key, manifest): (String, Value)| {
        let ready = ready::of(input.observed.get(&key));
        let object = match provider {
            Some(provider) => wrap(&wanted, provider, &manifest),
            None => manifest,
        };
        (key, Resource { object, ready })
    };
    let resources: BTreeMap<_, _> = manifests.into_iter().map(resource).collect();
    // Only in this cluster can anything be looked for.
    let needs = if provider.is_none() {
        needs(&wanted)
    } else {
        BTreeMap::new()
    };
    let told = status::tell(&wanted, &resources, input);
    Ok(Composed {
        resources,
        status: told.status,
        conditions: told.conditions,
        notes: told.notes,
        needs,
    })
}

fn needs(wanted: &Wanted) -> BTreeMap<String, Need> {
    let kv = wanted.kv.as_ref().filter(|kv| kv.mode == Mode::Gateway);
    let gateway = kv.and_then(|kv| kv.gateway.as_ref());
    let need = |gateway: &crate::spec::GatewayRef| Need {
        api_version: "gateway.networking.k8s.io/v1",
        kind: "Gateway",
        name: gateway.name.clone(),
        namespace: gateway
            .namespace
            .clone()
            .unwrap_or_else(|| wanted.namespace.clone()),
    };
    gateway
        .map(|gateway| (GATEWAY.to_owned(), need(gateway)))
        .into_iter()
        .collect()
}
