use super::*;
use crate::flow::rules::{Band, Fairness, Room};
use std::time::Duration;

const HEAD: &str = "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n";

fn names(setup: &Setup) -> Vec<(&str, &str)> {
    let each = setup.plugins.iter();
    each.map(|named| (named.name.as_str(), named.kind.as_str()))
        .collect()
}

fn faults(text: &str) -> Vec<String> {
    let found = read(text).expect_err("faults");
    found.iter().map(ToString::to_string).collect()
}

/// A well-known configuration: a profile with these weights.
fn well_known(plugins: &str, profile: &[(&str, f64)]) -> Setup {
    let mut text =
        format!("{HEAD}plugins:\n{plugins}schedulingProfiles:\n- name: default\n  plugins:\n");
    for (name, weight) in profile {
        text += &format!("  - pluginRef: {name}\n    weight: {weight}\n");
    }
    read(&text).expect("a configuration")
}

fn weights(setup: &Setup) -> Vec<f64> {
    setup
        .profile
        .scorers
        .iter()
        .map(|(_, weight)| *weight)
        .collect()
}

#[test]
fn the_optimized_baseline_loads_with_the_producers_that_it_needs() {
    let plugins = "- type: queue-scorer\n- type: kv-cache-utilization-scorer\n- type: prefix-cache-scorer\n- type: no-hit-lru-scorer\n";
    let setup = well_known(
        plugins,
        &[
            ("queue-scorer", 2.0),
            ("kv-cache-utilization-scorer", 2.0),
            ("prefix-cache-scorer", 3.0),
            ("no-hit-lru-scorer", 2.0),
        ],
    );
    let same = |kind| (kind, kind);
    assert_eq!(
        names(&setup),
        [
            same("approx-prefix-cache-producer"),
            same("kv-cache-utilization-scorer"),
            same("no-hit-lru-scorer"),
            same("prefix-cache-scorer"),
            same("queue-scorer"),
            same("token-producer"),
        ]
    );
    assert_eq!(weights(&setup), [2.0, 2.0, 3.0, 2.0]);
    assert_eq!(setup.policy, Policy::Prefix);
}

#[test]
fn tiered_prefix_caches_load_with_the_default_producer_beside_the_written_one() {
    let plugins = "- type: token-producer\n- type: approx-prefix-cache-producer\n  name: cpu-prefix-cache-producer\n  parameters: {autoTune: false, lruCapacityPerServer: 1000}\n- type: queue-scorer\n- type: kv-cache-utilization-scorer\n- type: prefix-cache-scorer\n  name: gpu-prefix-cache-scorer\n- type: prefix-cache-scorer\n  name: cpu-prefix-cache-scorer\n  parameters: {prefixMatchInfoProducerName: cpu-prefix-cache-producer}\n";
    let setup = well_known(
        plugins,
        &[
            ("queue-scorer", 2.0),
            ("kv-cache-utilization-scorer", 2.0),
            ("gpu-prefix-cache-scorer", 1.0),
            ("cpu-prefix-cache-scorer", 1.0),
        ],
    );
    assert_eq!(
        names(&setup),
        [
            (
                "approx-prefix-cache-producer",
                "approx-prefix-cache-producer"
            ),
            ("cpu-prefix-cache-producer", "approx-prefix-cache-producer"),
            ("cpu-prefix-cache-scorer", "prefix-cache-scorer"),
            ("gpu-prefix-cache-scorer", "prefix-cache-scorer"),
            ("kv-cache-utilization-scorer", "kv-cache-utilization-scorer"),
            ("queue-scorer", "queue-scorer"),
            ("token-producer", "token-producer"),
        ]
    );
}

#[test]
fn a_payload_agnostic_configuration_loads_and_reads_no_body() {
    let text = format!(
        "{HEAD}plugins:\n- type: passthrough-parser\n- type: active-request-scorer\n- type: session-affinity-scorer\nrequestHandler:\n  parsers:\n  - pluginRef: passthrough-parser\nschedulingProfiles:\n- name: default\n  plugins:\n  - pluginRef: active-request-scorer\n    weight: 1\n  - pluginRef: session-affinity-scorer\n    weight: 1\n"
    );
    let setup = read(&text).expect("a configuration");
    assert_eq!(setup.parsers, [Parser::Passthrough]);
    let written = [
        "active-request-scorer",
        "passthrough-parser",
        "session-affinity-scorer",
    ];
    for kind in written {
        assert!(names(&setup).contains(&(kind, kind)), "{kind}");
    }
    assert_eq!(setup.policy, Policy::LeastLoad, "no prefix is asked for");
}

#[test]
fn precise_caches_are_known_by_their_events() {
    for plugins in [
        "- type: precise-prefix-cache-scorer\n",
        "- type: precise-prefix-cache-producer\n  parameters: {kvEventsConfig: {topicFilter: kv@}}\n- type: prefix-cache-scorer\n",
    ] {
        let setup = read(&format!("{HEAD}plugins:\n{plugins}")).expect("a configuration");
        assert_eq!(setup.policy, Policy::Kv);
        assert_eq!(setup.profile.scorers.len(), 1);
    }
}

#[test]
fn json_is_yaml_too_and_the_older_group_is_warned_of() {
    let text = r#"{"apiVersion": "inference.networking.x-k8s.io/v1alpha1", "kind": "EndpointPickerConfig",
        "plugins": [{"type": "queue-scorer"}, {"type": "random-picker", "parameters": {"maxNumOfEndpoints": 3}}]}"#;
    let setup = read(text).expect("a configuration");
    assert_eq!(setup.warnings.len(), 1);
    assert_eq!(setup.profile.take, crate::profile::Take::Random);
    assert_eq!(setup.profile.endpoints_max, 3);
    assert_eq!(weights(&setup), [1.0]);
}

#[test]
fn every_fault_is_named_at_once_with_its_line() {
    let text = "apiVersion: v1\nkind: EndpointPickerConfig\ncolour: blue\nplugins:\n- type: queue-scorer\n  parameters:\n    depth: 3\n- type: latency-scorer\n- type: load-aware-scorer\n  parameters: {threshold: many}\n- type: queue-scorer\nschedulingProfiles:\n- name: default\n  plugins:\n  - pluginRef: nobody\n  - pluginRef: queue-scorer\n    weight: heavy\n";
    assert_eq!(
        faults(text),
        [
            "line 1: apiVersion: llm-d.ai/v1alpha1 is expected",
            "line 3: the configuration has no field `colour`",
            "line 7: plugin type `queue-scorer` has no field `depth`",
            "line 8: plugin type `latency-scorer` is not built in",
            "line 10: threshold: a number is expected, not a text",
            "line 11: there are two plugins `queue-scorer`",
            "line 15: pluginRef: there is no plugin `nobody`",
            "line 17: weight: a number is expected, not a text",
        ]
    );
}

#[test]
fn what_is_not_built_in_is_said_so() {
    let text = format!(
        "{HEAD}featureGates: [datalayer]\nflowControl: {{enableEviction: true}}\nplugins:\n- type: disagg-profile-handler\n- type: decode-filter\nschedulingProfiles:\n- {{name: prefill}}\n- {{name: decode}}\n"
    );
    let found = faults(&text);
    for word in [
        "datalayer",
        "enableEviction",
        "disagg-profile-handler",
        "decode-filter",
        "one profile",
    ] {
        assert!(
            found.iter().any(|fault| fault.contains(word)),
            "{word}: {found:?}"
        );
    }
}

#[test]
fn requests_wait_as_flow_control_says() {
    let text = format!(
        "{HEAD}featureGates: [flowControl]\nplugins:\n- {{type: queue-scorer}}\n- {{name: fair, type: round-robin-fairness-policy}}\n- {{name: busy, type: concurrency-detector, parameters: {{maxConcurrency: 2}}}}\nflowControl:\n  maxBytes: 1Gi\n  defaultRequestTTL: 5s\n  noEndpointRequestTTL: 0s\n  defaultNegativePriorityBand: {{priority: 0, maxRequests: 1k}}\n  priorityBands:\n  - {{priority: -5, maxRequests: \"3\", maxBytes: 500M, fairnessPolicyRef: fair, orderingPolicyRef: fcfs-ordering-policy}}\n  saturationDetector: {{pluginRef: busy}}\n"
    );
    let setup = read(&text).expect("a configuration");
    let flows = setup.flows.expect("flow control");
    assert_eq!(
        flows.room,
        Room {
            bytes: 1 << 30,
            ..Room::ENDLESS
        }
    );
    assert_eq!(flows.ttl, Some(Duration::from_secs(5)));
    assert_eq!(flows.ttl_empty, None, "0s: as long as the client waits");
    let band = flows.band(-5);
    assert_eq!(
        band.room,
        Room {
            requests: 3,
            bytes: 500_000_000
        }
    );
    assert_eq!(band.fairness, Fairness::RoundRobin);
    assert_eq!(flows.band(-1).room.requests, 1000);
    assert_eq!(flows.band(3), Band::default());
    let busy = Saturation::Concurrency {
        requests: Some(2.0),
        tokens: None,
    };
    assert_eq!(setup.saturation, busy);
    let off = text.replace("[flowControl]", "[flowControl=false]");
    assert_eq!(read(&off).expect("a configuration").flows, None);
    let wrong = text
        .replace("1Gi", "lots")
        .replace("fair, ord", "program-aware-fairness, ord");
    let found = faults(&wrong);
    for word in [
        "maxBytes: a quantity",
        "`program-aware-fairness` is not built in",
    ] {
        assert!(
            found.iter().any(|fault| fault.contains(word)),
            "{word}: {found:?}"
        );
    }
}

#[test]
fn text_that_is_no_yaml_has_a_line_too() {
    let found = faults("apiVersion: a\nkind: [b\n");
    assert!(found[0].starts_with("line "), "{found:?}");
    assert_eq!(faults("").len(), 1);
    assert_eq!(
        faults("just words")[0],
        "line 1: the configuration: a table is expected, not a text"
    );
}

#[test]
fn without_a_configuration_the_reference_weighs_2_to_2_to_3() {
    let setup = Setup::reference();
    assert_eq!(weights(&setup), [2.0, 2.0, 3.0]);
}

#[test]
fn endpoints_in_a_file_have_names_addresses_and_labels() {
    let text = "endpoints:\n- {name: a, address: 10.0.0.1, port: \"8000\", labels: {zone: one}}\n- {name: b, namespace: n, address: 'fd00::1', port: 8001}\n";
    let pods = endpoints(text).expect("endpoints");
    let told: Vec<_> = pods
        .iter()
        .map(|pod| {
            (
                pod.namespace.as_str(),
                pod.name.as_str(),
                pod.address.to_string(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("default", "a", "10.0.0.1:8000".to_owned()),
            ("n", "b", "[fd00::1]:8001".to_owned())
        ]
    );
    assert_eq!(pods[0].labels["zone"], "one");
    let wrong = "endpoints:\n- {name: a, address: host, port: \"0\"}\n- {address: 10.0.0.1, port: 8000, colour: blue}\n";
    let found: Vec<_> = endpoints(wrong)
        .expect_err("faults")
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        found,
        [
            "line 2: address: an IP address is expected",
            "line 2: port: a port is expected",
            "line 3: name: an endpoint needs one",
            "line 3: an endpoint has no field `colour`",
        ]
    );
}
