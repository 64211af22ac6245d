//! The law of dependencies (ARCHITECTURE.md): which crate may know which.

use serde_json::Value;

/// A crate, the crates of ours it may depend on, and whether it may do IO.
const LAW: [(&str, &[&str], bool); 20] = [
    ("onefill-kv", &[], false),
    ("onefill-events", &["kv"], false),
    ("onefill-index", &["kv"], false),
    ("onefill-schedule", &["kv"], false),
    ("onefill-prompt", &["kv"], false),
    ("onefill-fleet", &["kv", "events", "index"], true),
    ("onefill-record", &["kv"], true),
    (
        "onefill-question",
        &["kv", "index", "prompt", "schedule", "fleet"],
        true,
    ),
    (
        "onefill-router",
        &["kv", "prompt", "schedule", "fleet", "question", "record"],
        true,
    ),
    (
        "onefill-picker",
        &["kv", "prompt", "schedule", "fleet", "question"],
        true,
    ),
    ("onefill-engine", &["kv", "events", "prompt"], true),
    ("onefill-window", &[], true),
    ("onefill-wire", &["window"], true),
    ("onefill-evict", &[], false),
    ("onefill-store", &["window", "wire", "evict"], true),
    ("onefill-remote", &["store"], true),
    (
        "onefill-plan",
        &["kv", "index", "schedule", "record", "evict"],
        false,
    ),
    ("onefill-control", &["kv", "plan"], false),
    ("onefill-function", &["control"], true),
    (
        "onefill",
        &[
            "kv", "events", "index", "prompt", "schedule", "fleet", "router", "picker", "engine",
            "wire", "store", "remote", "plan", "control", "function", "record", "evict",
        ],
        true,
    ),
];

/// Dependencies that mean IO or a runtime.
const IO: [&str; 8] = [
    "tokio",
    "hyper",
    "hyper-util",
    "zeromq",
    "rustls",
    "tokio-rustls",
    "tracing-subscriber",
    "kube",
];

/// Modules that decide within a crate that may do IO, and what their text must not name.
const PURE: [&str; 19] = [
    "crates/picker/src/choose",
    "crates/picker/src/flow/",
    "crates/picker/src/headers",
    "crates/picker/src/machine",
    "crates/picker/src/plan",
    "crates/picker/src/profile",
    "crates/picker/src/proto",
    "crates/picker/src/refusal",
    "crates/picker/src/rename",
    "crates/picker/src/rules",
    "crates/picker/src/saturation",
    "crates/picker/src/setup",
    "crates/picker/src/subset",
    "crates/picker/src/time",
    "crates/evict/src",
    "crates/store/src/catalog",
    "crates/wire/src/lm",
    "crates/wire/src/native",
    "crates/wire/src/resp",
];
const IMPURE: [&str; 7] = [
    "tokio",
    "std::fs",
    "std::net",
    "std::io",
    "Instant",
    "SystemTime",
    "async fn",
];

/// Sentences, one for each thing that a pure module's source names and must not.
pub fn impurities(name: &str, source: &str) -> Vec<String> {
    if !PURE.iter().any(|module| name.starts_with(module)) {
        return Vec::new();
    }
    let named = IMPURE.iter().filter(|word| source.contains(**word));
    named
        .map(|word| format!("{name} decides: it must not know {word}"))
        .collect()
}

/// Sentences, one for each dependency that breaks the law in the answer of `cargo metadata`.
pub fn faults(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    packages.iter().flat_map(package_faults).collect()
}

fn package_faults(package: &Value) -> Vec<String> {
    let name = package["name"].as_str().unwrap_or_default();
    if name == "xtask" {
        return Vec::new();
    }
    let Some((_, allowed, io)) = LAW.iter().find(|(law, ..)| *law == name) else {
        return vec![format!("{name} has no line in the law (xtask/src/law.rs)")];
    };
    let dependencies = package["dependencies"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let normal = dependencies
        .iter()
        .filter(|dependency| dependency["kind"].is_null());
    normal
        .filter_map(|dependency| dependency["name"].as_str())
        .filter_map(|dependency| match dependency.strip_prefix("onefill-") {
            Some(ours) if !allowed.contains(&ours) => Some(format!("{name} must not know {ours}")),
            None if !io && IO.contains(&dependency) => {
                Some(format!("{name} does no IO but depends on {dependency}"))
            }
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{faults, impurities};
    use serde_json::json;

    fn package(name: &str, dependency: &str) -> serde_json::Value {
        json!({"packages": [{"name": name, "dependencies": [{"name": dependency, "kind": null}]}]})
    }

    #[test]
    fn a_pure_crate_with_a_runtime_breaks_the_law() {
        assert_eq!(faults(&package("onefill-index", "tokio")).len(), 1);
        assert_eq!(faults(&package("onefill-index", "hashbrown")).len(), 0);
    }

    #[test]
    fn the_engine_must_not_know_the_router() {
        assert_eq!(
            faults(&package("onefill-engine", "onefill-router")).len(),
            1
        );
        assert_eq!(faults(&package("onefill-router", "onefill-fleet")).len(), 0);
    }

    #[test]
    fn a_policy_with_a_clock_breaks_the_law() {
        let source = "let now = Instant::now();";
        assert_eq!(impurities("crates/evict/src/lru.rs", source).len(), 1);
        assert_eq!(impurities("crates/store/src/serve.rs", source).len(), 0);
    }

    #[test]
    fn a_new_crate_needs_a_line() {
        assert_eq!(faults(&package("onefill-new", "serde")).len(), 1);
    }
}
