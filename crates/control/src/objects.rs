//! The objects that a wanted model comes to, by the key under which Crossplane knows each.
//!
//! ```text
//! client -> ingress -> router ---------------> engine -> store
//!           HTTPRoute -> InferencePool/picker -^
//! ```
//!
//! Keys are kept for ever: another key makes Crossplane delete the object and make it again.

mod door;
mod edge;
mod engine;
mod gateway;
mod monitor;
mod pod;
mod router;
mod runtime;
mod scaling;
mod store;
mod wrap;

pub use wrap::Wrapping;
pub(crate) use wrap::{inner, wrap, wrapped};

use crate::{settings::Settings, spec::Backend, wanted::Wanted};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Objects by their keys.
pub(crate) type Objects = BTreeMap<String, Value>;

/// Keys whose readiness is asked for elsewhere.
pub(crate) const RUNTIME: &str = "vllm_runtime";
pub(crate) const ENGINE: &str = "engine";
pub(crate) const STORE: &str = "store";
pub(crate) const ROUTER: &str = "router";
pub(crate) const PICKER: &str = "picker";

/// Every object of a wanted model.
pub(crate) fn all(wanted: &Wanted, settings: &Settings) -> Objects {
    let mut objects = Objects::new();
    match wanted.backend {
        Backend::Operator => runtime::add(wanted, &mut objects),
        Backend::Deployment => engine::add(wanted, settings, &mut objects),
    }
    store::add(wanted, settings, &mut objects);
    router::add(wanted, settings, &mut objects);
    gateway::add(wanted, settings, &mut objects);
    edge::add(wanted, &mut objects);
    scaling::add(wanted, settings, &mut objects);
    monitor::add(wanted, settings, &mut objects);
    objects
}

/// Ports of all programs, by what they are for.
mod port {
    /// OpenAI's API of an engine.
    pub(super) const ENGINE: u16 = 8000;
    /// Its KV events, and old ones of them.
    pub(super) const EVENTS: u16 = 5557;
    pub(super) const REPLAY: u16 = 5657;
    /// The router's front door.
    pub(super) const ROUTER: u16 = 8080;
    /// Metrics of router and picker.
    pub(super) const METRICS: u16 = 9090;
    /// The store's doors and its metrics.
    pub(super) const LM: u16 = 65432;
    pub(super) const NATIVE: u16 = 65433;
    pub(super) const STORE_METRICS: u16 = 9180;
    /// The picker's.
    pub(super) const PICK: u16 = 9002;
    pub(super) const PICK_HEALTH: u16 = 9003;
    /// Services that people use.
    pub(super) const HTTP: u16 = 80;
}

impl Wanted {
    /// Metadata of an object. `component` is what it belongs to: engine, store, router, picker.
    fn metadata(&self, name: &str, component: &str) -> Value {
        json!({
            "name": name,
            "namespace": self.namespace,
            "labels": {
                "app.kubernetes.io/name": "onefill",
                "app.kubernetes.io/instance": self.name,
                "app.kubernetes.io/component": component,
                "app.kubernetes.io/managed-by": "onefill",
            },
        })
    }

    /// Labels of pods. Services and budgets select by `app`.
    fn pod_labels(&self, app: &str, component: &str) -> Value {
        json!({
            "app": app,
            "app.kubernetes.io/name": "onefill",
            "app.kubernetes.io/instance": self.name,
            "app.kubernetes.io/component": component,
        })
    }

    /// An object of a kind that needs nothing but its `spec`.
    fn object(&self, kind: (&str, &str), name: &str, component: &str, spec: &Value) -> Value {
        json!({
            "apiVersion": kind.0,
            "kind": kind.1,
            "metadata": self.metadata(name, component),
            "spec": spec,
        })
    }

    /// A service account whose token is mounted nowhere: its pods ask the API server for nothing.
    fn account(&self, name: &str, component: &str) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": self.metadata(name, component),
            "automountServiceAccountToken": false,
        })
    }

    /// At most one of these pods goes at a time when nodes are drained.
    fn budget(&self, name: &str, component: &str) -> Value {
        let spec = json!({"maxUnavailable": 1, "selector": {"matchLabels": {"app": name}}});
        self.object(("policy/v1", "PodDisruptionBudget"), name, component, &spec)
    }
}
