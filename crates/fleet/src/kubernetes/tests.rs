use super::*;
use serde_json::json;

fn pod(ip: &str, ready: bool) -> Json {
    json!({
        "metadata": {"name": "m-0"},
        "spec": {"containers": [{"ports": [{"containerPort": 8100}]}]},
        "status": {
            "podIP": ip,
            "conditions": [
                {"type": "Initialized", "status": "True"},
                {"type": "Ready", "status": if ready { "True" } else { "False" }},
            ],
        },
    })
}

fn urls(pods: &[Json], port: Option<u16>) -> Vec<String> {
    let list = json!({"items": pods});
    let found = replicas(&list, port).into_iter();
    found.map(|replica| replica.url).collect()
}

#[test]
fn ready_pods_are_replicas() {
    let mut going = pod("10.0.0.4", true);
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let pods = [
        pod("10.0.0.2", true),
        pod("10.0.0.1", true),
        pod("10.0.0.3", false),
        going,
        json!({"status": {"conditions": []}}),
        pod("no address", true),
    ];
    assert_eq!(
        urls(&pods, None),
        ["http://10.0.0.1:8100", "http://10.0.0.2:8100"]
    );
    assert_eq!(
        urls(&[pod("fd00::1", true)], Some(8000)),
        ["http://[fd00::1]:8000"]
    );
    assert!(replicas(&Json::Null, None).is_empty());
}

#[test]
fn selectors_travel_in_urls() {
    assert_eq!(
        escaped("app=m,tier in (a, b)"),
        "app%3Dm%2Ctier%20in%20%28a%2C%20b%29"
    );
}
