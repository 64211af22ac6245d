//! What router and picker have in common: a `Deployment` that changes without a gap, and a budget where
//! there are several.

use super::{
    Objects, pod,
    pod::{our_container, our_pod, put},
};
use crate::{settings::Settings, wanted::Wanted};
use serde_json::{Value, json};

/// A program that decides where requests go.
pub(super) struct Door<'a> {
    /// `router` or `picker`; its objects' keys begin so.
    pub(super) component: &'static str,
    /// Of its objects.
    pub(super) name: &'a str,
    /// How many there are.
    pub(super) replicas: u32,
    /// After `onefill`.
    pub(super) arguments: Vec<String>,
    /// Name and number of each.
    pub(super) ports: &'a [(&'static str, u16)],
    /// Cores that it asks for.
    pub(super) cpu: &'static str,
    /// `readinessProbe` and `livenessProbe`.
    pub(super) probes: [Value; 2],
    /// Wait before it is told to stop, where it does not wait by itself.
    pub(super) lifecycle: Option<Value>,
    /// From being told to stop to being killed.
    pub(super) grace_s: u32,
    /// Whether it asks the API server.
    pub(super) asks: bool,
}

impl Door<'_> {
    /// Puts its `Deployment`, account and budget under `component` and what that begins.
    pub(super) fn put(self, wanted: &Wanted, settings: &Settings, objects: &mut Objects) {
        let (name, component, several) = (self.name, self.component, self.replicas > 1);
        let key = |what: &str| format!("{component}_{what}");
        let mut account = wanted.account(name, component);
        if self.asks {
            account["automountServiceAccountToken"] = json!(true);
        }
        put(objects, &key("account"), account);
        if several {
            put(objects, &key("budget"), wanted.budget(name, component));
        }
        put(objects, component, self.deployment(wanted, settings));
    }

    fn deployment(self, wanted: &Wanted, settings: &Settings) -> Value {
        let mut pod = json!({
            "serviceAccountName": self.name,
            "securityContext": our_pod(),
            "terminationGracePeriodSeconds": self.grace_s,
        });
        if !self.asks {
            pod["automountServiceAccountToken"] = json!(false);
        }
        pod::pull_secrets(settings, &mut pod);
        let labels = wanted.pod_labels(self.name, self.component);
        let (name, component, replicas) = (self.name, self.component, self.replicas);
        pod["containers"] = json!([self.container(settings)]);
        let spec = json!({
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        });
        wanted.object(("apps/v1", "Deployment"), name, component, &spec)
    }

    fn container(self, settings: &Settings) -> Value {
        let port = |(name, number): &(&str, u16)| json!({"name": name, "containerPort": number});
        let ports: Vec<Value> = self.ports.iter().map(port).collect();
        let [ready, live] = self.probes;
        let mut container = json!({
            "name": self.component,
            "image": settings.onefill_image(),
            "command": ["onefill"],
            "args": self.arguments,
            "ports": ports,
            // The index takes 1 GiB at most, requests in flight the rest.
            "resources": {"requests": {"cpu": self.cpu, "memory": "1Gi"}, "limits": {"memory": "4Gi"}},
            "securityContext": our_container(),
            "readinessProbe": ready,
            "livenessProbe": live,
        });
        if let Some(lifecycle) = self.lifecycle {
            container["lifecycle"] = lifecycle;
        }
        container
    }
}
