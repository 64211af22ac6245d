use super::{lmcache::memory_bytes, translate};
use crate::Arguments;
use clap::CommandFactory as _;

fn translated(words: &str) -> Result<(String, Vec<String>), String> {
    let words = words.split_whitespace().map(Into::into).collect();
    let found = translate(words, &Arguments::command())?;
    let arguments: Vec<_> = found
        .arguments
        .iter()
        .map(|word| word.to_string_lossy())
        .collect();
    Ok((arguments.join(" "), found.warnings))
}

#[test]
fn what_the_operator_says_to_its_router_starts_ours() {
    let (ours, warnings) = translated(
        "/opt/venv/bin/vllm-router --host 0.0.0.0 --port 8080 --service-discovery k8s \
         --k8s-namespace a --k8s-label-selector app=minimal --routing-logic kvaware \
         --engine-stats-interval 15 --request-stats-window 60 --k8s-port 8000",
    )
    .unwrap();
    assert_eq!(
        ours,
        "onefill router --listen 0.0.0.0:8080 --policy kv --kubernetes-selector app=minimal \
         --kubernetes-namespace a --kubernetes-port 8000"
    );
    assert_eq!(
        warnings,
        ["without effect here: --engine-stats-interval, --request-stats-window"]
    );
}

#[test]
fn the_last_flag_wins_and_our_own_ones_pass() {
    let (ours, warnings) = translated(
        "onefill router --host=127.0.0.1 --port 1 --port=2 --routing-logic roundrobin \
         --static-backends http://a:1,http://b:2 --service-discovery static --threads 2 --no-events \
         --session-key x-user --colour red",
    )
    .unwrap();
    assert_eq!(
        ours,
        "onefill router --listen 127.0.0.1:2 --policy round-robin --replica http://a:1 \
         --replica http://b:2 --threads 2 --no-events"
    );
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    let (ours, _) =
        translated("vllm-router --host h --port 1 --routing-logic session --dns r:8000").unwrap();
    assert_eq!(
        ours,
        "onefill router --listen h:1 --policy session --dns r:8000"
    );
}

#[test]
fn what_would_route_otherwise_is_refused() {
    for words in [
        "vllm-router --host h --routing-logic disaggregated_prefill",
        "vllm-router --host h --service-discovery external-only",
        "vllm-router --host h --dynamic-config-json /etc/config.json",
    ] {
        assert!(
            translated(words).unwrap_err().contains("is not supported"),
            "{words}"
        );
    }
}

#[test]
fn our_own_command_lines_stay_as_they_are() {
    for words in [
        "onefill router --listen 127.0.0.1:1 --replica http://a:1",
        "onefill store --memory 1GiB",
        "onefill",
        "onefill lmcache-server",
    ] {
        assert_eq!(translated(words).unwrap(), (words.to_owned(), vec![]));
    }
}

#[test]
fn lmcaches_server_becomes_a_store_with_one_door() {
    let (ours, _) = translated("/opt/venv/bin/lmcache_server 127.0.0.1 8000 cpu").unwrap();
    assert!(
        ours.starts_with("onefill store --lm 127.0.0.1:8000 --resp none --native none --admin ")
    );
    assert!(ours.contains(" --memory "));
    assert_eq!(
        translated("onefill lmcache-server 127.0.0.1 8000")
            .unwrap()
            .0,
        ours
    );
}

#[test]
fn blocks_take_what_the_container_may() {
    let bytes = |limits: &[&str]| memory_bytes(limits.iter().map(|text| (*text).to_owned()));
    assert_eq!(bytes(&[]), 4 << 30);
    assert_eq!(bytes(&["max\n"]), 4 << 30);
    assert_eq!(bytes(&["9223372036854771712"]), 4 << 30);
    let gib = bytes(&["1073741824\n"]);
    assert!((700 << 20..768 << 20).contains(&gib), "{gib}");
    assert_eq!(bytes(&["1000"]), 64 << 20);
}
