use super::*;

fn config(plugin: &str) -> String {
    format!(
        "
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: queue-scorer
{plugin}
"
    )
}

fn pool() -> Vec<Endpoint> {
    vec![
        pod(0, 0, 0.1, &[]),
        pod(1, 5, 0.1, &[]),
        pod(2, 9, 0.1, &[]),
    ]
}

/// base64 of `default/pod-N-rank-0`.
const POD_0: &str = "ZGVmYXVsdC9wb2QtMC1yYW5rLTA=";
const POD_2: &str = "ZGVmYXVsdC9wb2QtMi1yYW5rLTA=";

#[test]
fn a_session_is_told_its_endpoint_and_stays_there() {
    let cluster = Cluster::new(&config("- type: session-affinity-filter"), pool());
    let first = cluster.send(&[], &[&body("m")], None);
    assert_eq!(first.destination, at(0), "the shortest queue");
    assert_eq!(first.response_headers["x-session-token"], POD_0);
    let again = cluster.send(&[("x-session-token", POD_2)], &[&body("m")], None);
    assert_eq!(again.destination, at(2), "its own, however long the queue");
    assert_eq!(again.response_headers["x-session-token"], POD_2);
}

#[test]
fn a_token_of_a_pod_that_is_gone_or_none_at_all_is_passed_over() {
    let cluster = Cluster::new(&config("- type: session-affinity-filter"), pool());
    for token in ["ZGVmYXVsdC9nb25l", "not base64!", ""] {
        let outcome = cluster.send(&[("x-session-token", token)], &[&body("m")], None);
        assert_eq!(outcome.destination, at(0), "{token}");
    }
}

#[test]
fn as_a_scorer_a_session_is_a_wish_among_others() {
    let cluster = Cluster::new(&config("- type: session-affinity-scorer"), pool());
    let outcome = cluster.send(&[("x-session-token", POD_2)], &[&body("m")], None);
    // Queue 1.0 at pod 0, session 1.0 at pod 2: the equal ones go by chance, pod 1 has 0.44.
    assert_ne!(outcome.destination, at(1));
}

#[test]
fn the_header_can_be_another() {
    let plugin = "- type: session-affinity-filter\n  parameters:\n    encodedEndpointHeaderConfig: {header: x-my-token}";
    let cluster = Cluster::new(&config(plugin), pool());
    let outcome = cluster.send(&[("x-my-token", POD_2)], &[&body("m")], None);
    assert_eq!(outcome.destination, at(2));
    assert_eq!(outcome.response_headers["x-my-token"], POD_2);
}

#[test]
fn a_session_that_the_client_names_is_remembered() {
    let plugin = "- type: session-affinity-filter\n  parameters:\n    strategy: session_id\n    sessionIdConfig: {sources: [{header: x-who}]}";
    let mut cluster = Cluster::new(&config(plugin), pool());
    assert_eq!(
        cluster
            .send(&[("x-who", "anna")], &[&body("m")], None)
            .destination,
        at(0)
    );
    cluster.endpoints = vec![pod(0, 9, 0.1, &[]), pod(1, 0, 0.1, &[])];
    assert_eq!(
        cluster
            .send(&[("x-who", "anna")], &[&body("m")], None)
            .destination,
        at(0)
    );
    assert_eq!(
        cluster
            .send(&[("x-who", "ben")], &[&body("m")], None)
            .destination,
        at(1)
    );
}
