use super::*;

/// Of the routes that a real server lists (`routes.txt`), exactly those under `/v1` pass.
#[test]
fn of_a_real_servers_routes_those_under_v1_pass() {
    for line in include_str!("../../tests/data/vllm-routes.txt").lines() {
        let (method, path) = line.split_once(' ').expect("METHOD PATH");
        let method: Method = method.parse().expect("a method");
        let passes = matches!(target(&method, path), Target::Forward(_));
        assert_eq!(
            passes,
            path.starts_with("/v1/") && path != "/v1/models",
            "{line}"
        );
    }
}

#[test]
fn a_model_named_in_the_path_passes() {
    assert_eq!(
        target(&Method::GET, "/v1/models/tiny"),
        Target::Forward(Door::Other)
    );
}

#[test]
fn prompts_have_doors() {
    assert_eq!(
        target(&Method::POST, "/v1/chat/completions"),
        Target::Forward(Door::Chat)
    );
    assert_eq!(
        target(&Method::POST, "/v1/rerank"),
        Target::Forward(Door::Other)
    );
    assert_eq!(target(&Method::POST, "/tokenize"), Target::Unknown);
    assert_eq!(target(&Method::POST, "/v1"), Target::Unknown);
}
