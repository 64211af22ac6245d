//! Foresight as a user asks for it: the demo's own record is advised on, and the demo measures.
#![expect(clippy::expect_used, reason = "helpers of tests, for tests only")]

use serde_json::Value;
use std::{path::Path, process::Command};

fn onefill(arguments: &[&str]) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_onefill"))
        .args(arguments)
        .env_remove("RUST_LOG")
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{arguments:?}: {said}");
    String::from_utf8(done.stdout).expect("text")
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&onefill(arguments)).expect("one object")
}

/// Runs the demo into `folder`; gives what it measured in turn and by content.
fn demo(folder: &Path, more: &[&str]) -> [Value; 2] {
    let page = folder.join("report.html");
    let (folder, page) = (folder.to_str().expect("text"), page.to_str().expect("text"));
    let mut arguments = vec!["demo", "--json", "--record", folder, "--report", page];
    arguments.extend(more);
    let measured = json(&arguments);
    [measured["runs"][0].clone(), measured["runs"][1].clone()]
}

fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).expect(path)
}

#[test]
fn advice_on_the_demos_record_names_what_the_demo_then_measures() {
    let folder = tempfile::tempdir().expect("a folder");
    let [turn, content] = demo(folder.path(), &[]);
    let record = folder.path().join("round-robin");
    let advice = json(&["advise", "--json", record.to_str().expect("text")]);
    let measured = [number(&turn, "/hit_ratio"), number(&content, "/hit_ratio")];
    assert!(
        measured[1] > measured[0] + 0.1,
        "routing by content wins here: {measured:?}"
    );
    let route = &advice["tried"][0];
    assert_eq!(route["choice"], "Route");
    let best = advice["best"].as_u64().expect("something helps") as usize;
    let how = advice["tried"][best]["how"].as_str().expect("words");
    assert!(how.contains("--policy kv"), "{how}");
    // What was is replayed, and what the demo measures afterwards foreseen.
    let foreseen = |outcome: &Value| {
        let found = number(outcome, "/gpu_tokens");
        found / number(outcome, "/prompt_tokens")
    };
    let [before, after] = [foreseen(&advice["before"]), foreseen(&route["outcome"])];
    assert!(
        (before - measured[0]).abs() < 0.08,
        "{before} beside {}",
        measured[0]
    );
    assert!(
        (after - measured[1]).abs() < 0.08,
        "{after} beside {}",
        measured[1]
    );
    let words = onefill(&["advise", record.to_str().expect("text")]);
    assert!(words.contains("best: route by content"), "{words}");
}

#[test]
fn on_requests_that_share_nothing_advice_is_that_nothing_helps() {
    let folder = tempfile::tempdir().expect("a folder");
    let [turn, content] = demo(folder.path(), &["--unrelated"]);
    for run in [&turn, &content] {
        assert!(number(run, "/hit_ratio") < 0.05, "{run}");
    }
    let record = folder.path().join("round-robin");
    let words = onefill(&["advise", record.to_str().expect("text")]);
    assert!(words.contains("nothing will help by sharing"), "{words}");
}

#[test]
fn a_record_holds_no_word_of_what_was_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    demo(folder.path(), &["--requests", "40"]);
    let files = std::fs::read_dir(folder.path().join("kv")).expect("a record");
    let mut lines = 0;
    for file in files {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("text");
        for line in text.lines().skip(1) {
            let line: Value = serde_json::from_str(line).expect("JSON");
            for (name, value) in line.as_object().expect("an object") {
                let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
                let is_plain = match value {
                    Value::Number(_) => true,
                    Value::String(text) => name == "e" || hex(text),
                    _ => false,
                };
                assert!(is_plain, "{name}: {value}");
            }
            lines += 1;
        }
    }
    assert_eq!(lines, 40);
}

#[test]
fn a_plan_is_made_of_a_known_model_and_its_section_can_be_pasted() {
    let plan = json(&[
        "plan",
        "meta-llama/Llama-3.1-70B-Instruct",
        "--gpus",
        "4",
        "--json",
    ]);
    assert_eq!(plan["token_bytes"], 327_680);
    assert_eq!(plan["tokens_per_gib"], 3276);
    let section = onefill(&["plan", "llama-3.1-8b", "--replicas", "4", "--section"]);
    assert!(
        section.starts_with("kvCache:\n  enabled: true\n"),
        "{section}"
    );
    let words = onefill(&[
        "plan",
        "llama-3.1-8b",
        "--replicas",
        "4",
        "--workload",
        "chat",
        "--requests",
        "1500",
    ]);
    for part in ["break-even", "as planned", "to paste under spec:"] {
        assert!(words.contains(part), "{part}: {words}");
    }
}
