use super::{
    mirror::Mirror,
    objects::{self, Pool},
};
use kube::{api::DynamicObject, runtime::watcher::Event};
use serde_json::{Value as Json, json};

fn object(json: Json) -> DynamicObject {
    serde_json::from_value(json).expect("an object")
}

fn pod(name: &str, ip: &str, ready: &str, annotations: &Json) -> DynamicObject {
    object(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "ns", "labels": {"app": "vllm"}, "annotations": annotations},
        "status": {"podIP": ip, "conditions": [{"type": "Ready", "status": ready}]},
    }))
}

fn pool() -> Pool {
    objects::pool(&object(json!({
        "apiVersion": "inference.networking.k8s.io/v1", "kind": "InferencePool",
        "metadata": {"name": "pool"},
        "spec": {"selector": {"matchLabels": {"app": "vllm"}}, "targetPorts": [{"number": 8000}, {"number": 8001}]},
    })))
    .expect("a pool")
}

fn addresses(pods: &[DynamicObject]) -> Vec<(String, String)> {
    let read: Vec<_> = pods.iter().filter_map(objects::pod).collect();
    let endpoints = objects::endpoints(Some(&pool()), read.iter());
    endpoints
        .into_iter()
        .map(|pod| (pod.name, pod.address.to_string()))
        .collect()
}

fn pair(name: &str, address: &str) -> (String, String) {
    (name.to_owned(), address.to_owned())
}

#[test]
fn each_port_of_a_ready_pod_is_an_endpoint() {
    let mut leaving = pod("c", "10.0.0.3", "True", &json!({}));
    leaving.metadata.deletion_timestamp =
        serde_json::from_value(json!("2026-01-01T00:00:00Z")).expect("a time");
    let pods = [
        pod("a", "10.0.0.1", "True", &json!({})),
        pod("b", "10.0.0.2", "False", &json!({})),
        leaving,
        pod("d", "", "True", &json!({})),
        pod("e", "fd00::5", "True", &json!({})),
    ];
    assert_eq!(
        addresses(&pods),
        [
            pair("a-rank-0", "10.0.0.1:8000"),
            pair("a-rank-1", "10.0.0.1:8001"),
            pair("e-rank-0", "[fd00::5]:8000"),
            pair("e-rank-1", "[fd00::5]:8001"),
        ]
    );
    assert!(
        objects::endpoints(None, [].iter()).is_empty(),
        "no pool, no endpoints"
    );
}

#[test]
fn a_pod_may_limit_its_ports_and_the_rank_is_that_of_the_pool() {
    for key in [
        "llm-d.ai/active-ports",
        "inference.networking.k8s.io/active-ports",
    ] {
        let one = pod("a", "10.0.0.1", "True", &json!({key: "8001, 9000"}));
        assert_eq!(addresses(&[one]), [pair("a-rank-1", "10.0.0.1:8001")]);
    }
}

#[test]
fn pods_that_the_pool_does_not_select_are_none_of_it() {
    let mut other = pod("a", "10.0.0.1", "True", &json!({}));
    other.metadata.labels = Some([("app".to_owned(), "web".to_owned())].into());
    assert!(addresses(&[other]).is_empty());
}

#[test]
fn what_a_new_list_leaves_out_is_gone() {
    let mut mirror = Mirror::default();
    let mut on = |event| mirror.on(Ok(event), objects::pod).expect("no error");
    let (a, b) = (
        pod("a", "10.0.0.1", "True", &json!({})),
        pod("b", "10.0.0.2", "True", &json!({})),
    );
    assert!(!on(Event::Init));
    assert!(!on(Event::InitApply(a.clone())));
    assert!(on(Event::InitDone));
    assert!(on(Event::Apply(b.clone())));
    assert!(!on(Event::Apply(b.clone())), "nothing new");
    assert!(
        !on(Event::Init),
        "what is known stays until the new list is whole"
    );
    assert!(!on(Event::InitApply(b.clone())));
    assert!(on(Event::InitDone));
    assert!(!on(Event::Delete(a)), "it was gone already");
    assert!(
        on(Event::Apply(pod("b", "10.0.0.2", "False", &json!({})))),
        "not ready any more"
    );
    assert_eq!(mirror.all().count(), 0);
}

#[test]
fn an_empty_list_is_an_answer_too() {
    let mut mirror = Mirror::default();
    let mut on = |event| mirror.on(Ok(event), objects::pod).expect("no error");
    on(Event::Init);
    assert!(on(Event::InitDone));
    assert!(mirror.is_whole());
}

#[test]
fn objectives_and_rewrites_of_this_pool_count_the_oldest_first() {
    let pool = json!({"name": "pool"});
    let rewrite = |name: &str, made: &str, to: &str, pool: &Json| {
        object(json!({
            "metadata": {"name": name, "creationTimestamp": made},
            "spec": {"poolRef": pool, "rules": [{
                "matches": [{"model": {"type": "Exact", "value": "m"}}],
                "targets": [{"modelRewrite": to, "weight": 3}],
            }]},
        }))
    };
    let mut rewrites = Mirror::default();
    for one in [
        rewrite("a", "2026-02-01T00:00:00Z", "newer", &pool),
        rewrite("b", "2026-01-01T00:00:00Z", "older", &pool),
        rewrite(
            "c",
            "2025-01-01T00:00:00Z",
            "foreign",
            &json!({"name": "other"}),
        ),
    ] {
        rewrites
            .on(Ok(Event::Apply(one)), |one| {
                objects::rewrite(one, Some("pool"))
            })
            .expect("no error");
    }
    let mut priorities = Mirror::default();
    for (name, spec) in [
        ("batch", json!({"poolRef": pool, "priority": -5})),
        ("unset", json!({"poolRef": pool})),
        (
            "foreign",
            json!({"poolRef": {"name": "other"}, "priority": 9}),
        ),
    ] {
        let one = object(json!({"metadata": {"name": name}, "spec": spec}));
        priorities
            .on(Ok(Event::Apply(one)), |one| {
                objects::objective(one, Some("pool"))
            })
            .expect("no error");
    }
    let rules = objects::rules(&priorities, &rewrites);
    assert_eq!(rules.target("m", 0), Some("older"));
    assert_eq!(rules.rewrites.len(), 2);
    assert_eq!(
        rules.objectives,
        [("batch".to_owned(), -5), ("unset".to_owned(), 0)].into()
    );
}
