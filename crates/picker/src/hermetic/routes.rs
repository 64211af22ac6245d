use super::*;
use crate::rules::{Rewrite, Target};
use prost_types::{ListValue, Struct, Value, value::Kind};

const TARGET: &str = "my-model-12345";

fn routed(endpoints: Vec<Endpoint>) -> Outcome {
    Cluster::new(FOUR_SCORERS, endpoints).ask("my-model", TARGET, &body("my-model"))
}

fn hint(addresses: &[&str]) -> Metadata {
    let text = |address: &&str| Value {
        kind: Some(Kind::StringValue((*address).to_owned())),
    };
    let list = Kind::ListValue(ListValue {
        values: addresses.iter().map(text).collect(),
    });
    let key = "x-gateway-destination-endpoint-subset".to_owned();
    let fields = [(key, Value { kind: Some(list) })].into();
    Metadata {
        filter_metadata: [("envoy.lb.subset_hint".to_owned(), Struct { fields })].into(),
    }
}

#[test]
fn lower_queue_and_lower_cache_win() {
    let endpoints = vec![
        pod(0, 3, 0.2, &[]),
        pod(1, 0, 0.1, &[]),
        pod(2, 10, 0.2, &[]),
    ];
    let mut cluster = Cluster::new(FOUR_SCORERS, endpoints);
    cluster.rules.objectives.insert("my-model".into(), 2);
    let outcome = cluster.ask("my-model", TARGET, &body("my-model"));
    assert_eq!(outcome.destination, at(1));
    assert_eq!(
        outcome.body,
        body(TARGET),
        "the model, and nothing else, is another"
    );
    assert_eq!(
        outcome.headers["content-length"],
        body(TARGET).len().to_string()
    );
    assert_eq!(outcome.renamed, Some((TARGET.into(), "my-model".into())));
    assert_eq!(outcome.priority, 2);
}

#[test]
fn an_active_adapter_with_a_low_queue_wins() {
    let endpoints = vec![
        pod(0, 0, 0.2, &["foo", "bar"]),
        pod(1, 0, 0.1, &["foo", TARGET]),
        pod(2, 10, 0.2, &["foo", "bar"]),
    ];
    assert_eq!(routed(endpoints).destination, at(1));
}

#[test]
fn an_active_adapter_wins_though_its_cache_is_fuller() {
    let endpoints = vec![
        pod(0, 10, 0.2, &[]),
        pod(1, 10, 0.4, &[TARGET]),
        pod(2, 10, 0.3, &[]),
    ];
    assert_eq!(routed(endpoints).destination, at(1));
}

#[test]
fn nothing_is_shed_by_default_however_full() {
    let endpoints = vec![
        pod(0, 6, 0.2, &[TARGET]),
        pod(1, 0, 0.85, &[]),
        pod(2, 10, 0.9, &[]),
    ];
    assert_eq!(routed(endpoints).destination, at(0));
}

#[test]
fn what_may_be_shed_is_when_the_pool_is_full_and_only_then() {
    for (waiting, kv_usage, shed) in [(6, 0.9, true), (0, 0.81, true), (4, 0.2, false)] {
        let mut cluster = Cluster::new(FOUR_SCORERS, vec![pod(0, waiting, kv_usage, &[])]);
        cluster.rules.objectives.insert("batch".into(), -1);
        let outcome = cluster.ask("batch", TARGET, &body("my-model"));
        let message =
            "inference error: ResourceExhausted - system saturated, sheddable request dropped";
        let want = shed.then(|| (429, message.to_owned(), None));
        assert_eq!(outcome.refused, want, "{waiting} {kv_usage}");
        assert!(
            cluster
                .ask("none", TARGET, &body("my-model"))
                .refused
                .is_none()
        );
    }
}

#[test]
fn with_a_passthrough_parser_any_body_passes_by_unchanged() {
    let text = "
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: passthrough-parser
- type: queue-scorer
- type: kv-cache-utilization-scorer
requestHandler: {parsers: [{pluginRef: passthrough-parser}]}
";
    let endpoints = vec![
        pod(0, 3, 0.2, &[]),
        pod(1, 0, 0.1, &[]),
        pod(2, 10, 0.2, &[]),
    ];
    let outcome = Cluster::new(text, endpoints).ask("my-model", TARGET, "no JSON at all");
    assert_eq!(outcome.destination, at(1));
    assert_eq!(outcome.body, "no JSON at all");
    assert_eq!(outcome.renamed, None);
}

#[test]
fn a_body_that_is_no_json_is_400() {
    let outcome = Cluster::new(FOUR_SCORERS, vec![pod(0, 0, 0.1, &[])]).ask(
        "m",
        TARGET,
        "no healthy upstream",
    );
    let (status, text, reason) = outcome.refused.expect("refused");
    assert_eq!((status, reason), (400, None));
    assert!(
        text.starts_with("inference error: BadRequest - error unmarshaling request bodyMap: "),
        "{text}"
    );
}

#[test]
fn a_body_in_two_messages_is_one() {
    let endpoints = vec![pod(0, 4, 0.2, &[]), pod(1, 4, 0.85, &[])];
    let sent = body("my-model");
    let (first, second) = sent.split_at(30);
    let outcome = Cluster::new(FOUR_SCORERS, endpoints).send(&[], &[first, second], None);
    assert_eq!(outcome.destination, at(0));
    assert_eq!(outcome.body, sent);
}

#[test]
fn without_a_body_and_without_pods_the_specification_says_503_and_the_reference_500() {
    let mut cluster = Cluster::new(FOUR_SCORERS, Vec::new());
    let refused = cluster.send(&[(":path", "/v1/models")], &[], None).refused;
    assert_eq!(refused.map(|(status, ..)| status), Some(503));
    cluster.reference_codes = true;
    let refused = cluster.send(&[(":path", "/v1/models")], &[], None).refused;
    let text = "inference error: Internal - no pods available in datastore".to_owned();
    assert_eq!(refused, Some((500, text, None)));
}

#[test]
fn a_body_without_a_model_is_400() {
    let outcome = Cluster::new(FOUR_SCORERS, vec![pod(0, 0, 0.1, &[])]).ask(
        "m",
        TARGET,
        r#"{"prompt":"hi"}"#,
    );
    let text = "inference error: BadRequest - model not found in request body".to_owned();
    assert_eq!(outcome.refused, Some((400, text, None)));
}

#[test]
fn a_subset_hint_limits_the_choice() {
    let endpoints = vec![
        pod(0, 0, 0.2, &[]),
        pod(1, 0, 0.1, &[TARGET]),
        pod(2, 10, 0.2, &[]),
    ];
    let cluster = Cluster::new(FOUR_SCORERS, endpoints);
    let headers = [("x-gateway-model-name-rewrite", TARGET)];
    let sent = body("my-model");
    for (addresses, want) in [
        (
            &["192.168.1.1:8000", "192.168.1.2:8000", "192.168.1.3:8000"][..],
            at(1),
        ),
        (&["192.168.1.3:8000"], at(2)),
        (&["192.168.1.99:8000"], None),
    ] {
        let outcome = cluster.send(&headers, &[&sent], Some(&hint(addresses)));
        assert_eq!(outcome.destination, want);
        if want.is_none() {
            let text = "inference error: ServiceUnavailable - failed to find endpoint candidates for serving the request";
            let reason = Some("rejected-no-endpoints".to_owned());
            assert_eq!(outcome.refused, Some((503, text.to_owned(), reason)));
        }
    }
}

#[test]
fn a_model_without_an_objective_is_of_priority_0() {
    let outcome = Cluster::new(FOUR_SCORERS, vec![pod(0, 0, 0.1, &[])]).ask(
        "nobody-knows",
        "direct-model",
        &body("direct-model"),
    );
    assert_eq!((outcome.destination, outcome.priority), (at(0), 0));
    assert_eq!(outcome.renamed, None, "it is the same model");
}

#[test]
fn a_rule_rewrites_the_model() {
    let mut cluster = Cluster::new(FOUR_SCORERS, vec![pod(0, 0, 0.1, &[])]);
    cluster.rules.rewrites.push(Rewrite {
        models: vec!["model-to-be-rewritten".into()],
        targets: vec![Target {
            model: "rewritten-model".into(),
            weight: None,
        }],
    });
    let outcome = cluster.send(&[], &[&body("model-to-be-rewritten")], None);
    assert_eq!(outcome.body, body("rewritten-model"));
    let headers = [("x-llm-d-model-name-rewrite", "by-header")];
    let outcome = cluster.send(&headers, &[&body("model-to-be-rewritten")], None);
    assert_eq!(
        outcome.body,
        body("by-header"),
        "a header stands over rules"
    );
}

#[test]
fn scores_go_into_the_metadata_where_they_are_asked_for() {
    let mut cluster = Cluster::new(FOUR_SCORERS, vec![pod(0, 0, 0.1, &[])]);
    assert_eq!(cluster.ask("m", "m", &body("m")).scores, 0);
    cluster.emit_scores = true;
    assert_eq!(cluster.ask("m", "m", &body("m")).scores, 1);
}

#[test]
fn a_tests_wish_is_obeyed() {
    let endpoints = vec![pod(0, 0, 0.1, &[]), pod(1, 9, 0.9, &[])];
    let cluster = Cluster::new(FOUR_SCORERS, endpoints);
    for wish in ["192.168.1.2", "192.168.1.2:8000", "10.0.0.1, 192.168.1.2"] {
        let headers = [("test-epp-endpoint-selection", wish)];
        let outcome = cluster.send(&headers, &[&body("m")], None);
        assert_eq!(outcome.destination, at(1), "{wish}");
    }
    let headers = [("test-epp-endpoint-selection", "10.0.0.1")];
    let refused = cluster.send(&headers, &[&body("m")], None).refused;
    assert_eq!(refused.map(|(status, ..)| status), Some(503));
}

#[test]
fn without_a_passthrough_parser_unknown_paths_are_400() {
    let cluster = Cluster::new(FOUR_SCORERS, vec![pod(0, 0, 0.1, &[])]);
    let refused = cluster
        .send(&[(":path", "/v2/other")], &["x"], None)
        .refused;
    let text = "inference error: BadRequest - no parser for /v2/other".to_owned();
    assert_eq!(refused, Some((400, text, None)));
}
