//! What Kubernetes' objects mean for a picker. Pure.

use super::mirror::Mirror;
use crate::{
    pods::Pod,
    rules::{Rewrite, Rules, Target},
};
use kube::{ResourceExt, api::DynamicObject};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Limits a pod to some of the pool's ports.
const ACTIVE_PORTS: [&str; 2] = [
    "llm-d.ai/active-ports",
    "inference.networking.k8s.io/active-ports",
];

/// What an `InferencePool` selects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Pool {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) ports: Vec<u16>,
}

/// A pod that may be an endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PodObject {
    namespace: String,
    name: String,
    ip: std::net::IpAddr,
    labels: BTreeMap<String, String>,
    /// Of the pool's; `None`: all.
    ports: Option<Vec<u16>>,
}

/// Reads a pool.
pub(super) fn pool(object: &DynamicObject) -> Option<Pool> {
    let spec = &object.data["spec"];
    let ports = spec["targetPorts"].as_array()?.iter();
    let number = |port: &Json| u16::try_from(port["number"].as_u64()?).ok();
    Some(Pool {
        labels: texts(&spec["selector"]["matchLabels"]),
        ports: ports.filter_map(number).collect(),
    })
}

/// Reads a pod; nothing of one that is not ready, or about to go.
pub(super) fn pod(object: &DynamicObject) -> Option<PodObject> {
    let status = &object.data["status"];
    let conditions = status["conditions"].as_array()?;
    let ready = |one: &Json| one["type"] == "Ready" && one["status"] == "True";
    if object.metadata.deletion_timestamp.is_some() || !conditions.iter().any(ready) {
        return None;
    }
    let annotations = object.annotations();
    let active = ACTIVE_PORTS.iter().find_map(|key| annotations.get(*key));
    let ports = |text: &String| {
        let each = text.split(',').filter_map(|port| port.trim().parse().ok());
        each.collect()
    };
    Some(PodObject {
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        ip: status["podIP"].as_str()?.parse().ok()?,
        labels: object.labels().clone(),
        ports: active.map(ports),
    })
}

/// The pool's endpoints: each port of each pod.
pub(super) fn endpoints<'p>(
    pool: Option<&Pool>,
    pods: impl Iterator<Item = &'p PodObject>,
) -> Vec<Pod> {
    let Some(pool) = pool else {
        return Vec::new();
    };
    let selected = |pod: &&PodObject| {
        let mut each = pool.labels.iter();
        each.all(|(key, value)| pod.labels.get(key) == Some(value))
    };
    let of = |pod: &PodObject| -> Vec<Pod> {
        let ranks = pool.ports.iter().enumerate();
        let active = |port: &u16| pod.ports.as_ref().is_none_or(|ports| ports.contains(port));
        ranks
            .filter(|(_, port)| active(port))
            .map(|(rank, port)| Pod {
                namespace: pod.namespace.clone(),
                name: format!("{}-rank-{rank}", pod.name),
                address: (pod.ip, *port).into(),
                rank: u16::try_from(rank).unwrap_or(u16::MAX),
                labels: pod.labels.clone(),
            })
            .collect()
    };
    pods.filter(selected).flat_map(of).collect()
}

/// The priority that an objective of this pool says.
pub(super) fn objective(object: &DynamicObject, pool: Option<&str>) -> Option<i32> {
    let spec = &object.data["spec"];
    if !concerns(spec, pool) {
        return None;
    }
    let priority = spec["priority"].as_i64().unwrap_or(0);
    Some(i32::try_from(priority).unwrap_or(if priority < 0 { i32::MIN } else { i32::MAX }))
}

/// Rules of one `InferenceModelRewrite`, and when it was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Rewrites {
    /// RFC 3339, which sorts as time does.
    made: String,
    rules: Vec<Rewrite>,
}

/// Reads one.
pub(super) fn rewrite(object: &DynamicObject, pool: Option<&str>) -> Option<Rewrites> {
    let spec = &object.data["spec"];
    if !concerns(spec, pool) {
        return None;
    }
    let text = |json: &Json| json.as_str().map(str::to_owned);
    let target = |one: &Json| {
        Some(Target {
            model: text(&one["modelRewrite"])?,
            weight: one["weight"]
                .as_u64()
                .and_then(|weight| weight.try_into().ok()),
        })
    };
    let rule = |one: &Json| Rewrite {
        models: each(&one["matches"])
            .filter_map(|one| text(&one["model"]["value"]))
            .collect(),
        targets: each(&one["targets"]).filter_map(target).collect(),
    };
    let made = object.metadata.creation_timestamp.as_ref();
    Some(Rewrites {
        made: made.map(|time| time.0.to_string()).unwrap_or_default(),
        rules: each(&spec["rules"]).map(rule).collect(),
    })
}

/// All that is said of models: rewrites of the oldest object first.
pub(super) fn rules(priorities: &Mirror<i32>, rewrites: &Mirror<Rewrites>) -> Rules {
    let mut objects: Vec<(&str, &Rewrites)> = rewrites.pairs().collect();
    objects.sort_by_key(|(name, one)| (&one.made, *name));
    let objectives = priorities.pairs();
    Rules {
        objectives: objectives
            .map(|(name, one)| (name.to_owned(), *one))
            .collect(),
        rewrites: objects
            .into_iter()
            .flat_map(|(_, one)| one.rules.clone())
            .collect(),
    }
}

/// Whether an object is about this pool, or any where no pool is named.
fn concerns(spec: &Json, pool: Option<&str>) -> bool {
    pool.is_none_or(|pool| spec["poolRef"]["name"] == pool)
}

fn each(list: &Json) -> impl Iterator<Item = &Json> {
    list.as_array().into_iter().flatten()
}

fn texts(table: &Json) -> BTreeMap<String, String> {
    let pairs = table.as_object().into_iter().flatten();
    let text = |(key, value): (&String, &Json)| Some((key.clone(), value.as_str()?.to_owned()));
    pairs.filter_map(text).collect()
}
