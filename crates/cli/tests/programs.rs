//! The program as a newcomer runs it.
#![expect(clippy::expect_used, reason = "helpers of tests, for tests only")]

use serde_json::Value;
use std::process::{Command, Output};

fn onefill(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_onefill"))
        .args(arguments)
        .env_remove("ONEFILL_VLLM")
        .env_remove("RUST_LOG")
        .output()
        .expect("runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn the_demo_prints_one_object_and_writes_a_page_that_needs_no_network() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = folder.path().join("report.html");
    let report = report.to_str().expect("text");
    let done = onefill(&["demo", "--json", "--requests", "60", "--report", report]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let json: Value = serde_json::from_slice(&done.stdout).expect("one object");
    let runs = json["runs"].as_array().expect("runs");
    let policies: Vec<&str> = runs
        .iter()
        .filter_map(|run| run["policy"].as_str())
        .collect();
    assert_eq!(policies, ["round-robin", "kv"]);
    for run in runs {
        assert_eq!((&run["requests"], &run["errors"]), (&60.into(), &0.into()));
        assert!(run["ttft_ms"]["p95"].as_f64() >= run["ttft_ms"]["p50"].as_f64());
        assert!(run["imbalance"].as_f64() >= Some(1.0));
    }
    let computed = |run: &Value| run["prefill_tokens"].as_u64().expect("a count");
    assert!(computed(&runs[1]) * 10 < computed(&runs[0]) * 8, "{json}");
    assert!(
        text(&done.stderr).contains(report),
        "it says where the report is"
    );
    let page = std::fs::read_to_string(report).expect("the report");
    assert_eq!(page.matches("<svg").count(), 6);
    for foreign in ["http://", "https://", "<script", "<link", "NaN", "inf"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

#[test]
fn without_vllm_the_demo_says_how_to_get_it() {
    let done = onefill(&["demo", "--vllm"]);
    assert_eq!(done.status.code(), Some(1));
    let said = text(&done.stderr);
    assert!(
        said.contains("ONEFILL_VLLM is not set") && said.contains("cargo xtask vllm"),
        "{said}"
    );
    assert!(done.stdout.is_empty());
}

#[test]
fn an_engine_refuses_what_it_can_not_be() {
    for (arguments, status, word) in [
        (["--prefix-caching-hash-algo", "md5"], 64, "sha256_cbor"),
        (["--replay", "tcp://*:0"], 64, "--events"),
        (["--block-size", "0"], 1, "block"),
        (["--events", "tcp://nowhere"], 1, "tcp://nowhere"),
    ] {
        let done = onefill(&[&["engine", "--listen", "127.0.0.1:0"], &arguments[..]].concat());
        assert_eq!(done.status.code(), Some(status), "{arguments:?}");
        assert!(text(&done.stderr).contains(word), "{}", text(&done.stderr));
    }
}

#[test]
fn a_snapshot_without_a_folder_is_a_fault_before_anything_starts() {
    let replica = [
        "router",
        "--replica",
        "http://127.0.0.1:1",
        "--check-config",
    ];
    let check = |file: &str| onefill(&[&replica[..], &["--snapshot", file]].concat());
    let done = check("no-such-folder/index");
    assert_eq!(done.status.code(), Some(64));
    let said = text(&done.stderr);
    assert!(said.contains("no folder no-such-folder"), "{said}");
    assert!(check("index").status.success(), "beside where it runs");
}
