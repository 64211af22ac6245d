use super::*;
use crate::demo::{drive::Receipt, workload::Kind};

fn record(prompt_tokens: usize, cached_tokens: usize, first_ms: u64, replica: usize) -> Record {
    Record {
        kind: Kind::Chat,
        turn: 0,
        prompt_tokens,
        cached_tokens,
        first: Duration::from_millis(first_ms),
        replica: Some(replica),
        receipt: Receipt::read("policy=kv state=exact overlap_tokens=32 prompt_tokens=40"),
        error: None,
    }
}

fn run(records: Vec<Record>) -> Run {
    Run {
        policy: "kv",
        replicas: 2,
        records,
        took: Duration::from_secs(1),
    }
}

#[test]
fn figures_are_counted_over_answers_only() {
    let failed = Record {
        error: Some("broke off".into()),
        ..record(0, 0, 0, 0)
    };
    let run = run(vec![
        record(100, 32, 10, 0),
        record(100, 0, 30, 1),
        record(200, 168, 20, 1),
        failed,
    ]);
    let figures = Figures::of(&run);
    assert_eq!((figures.requests, figures.errors), (4, 1));
    assert!((figures.hit_ratio - 0.5).abs() < 1e-9);
    assert_eq!(figures.prefill_tokens, 68 + 100 + 32);
    assert_eq!(figures.ttft_p50, Duration::from_millis(20));
    assert_eq!(figures.ttft_p95, Duration::from_millis(30));
    assert!((figures.imbalance - 132.0 * 2.0 / 200.0).abs() < 1e-9);
    assert_eq!(
        (figures.states["exact"], figures.warm, figures.predicted),
        (3, 3, 1)
    );
}

#[test]
fn a_run_without_answers_has_figures_too() {
    let figures = Figures::of(&run(Vec::new()));
    assert!(figures.hit_ratio.abs() < 1e-9 && (figures.imbalance - 1.0).abs() < 1e-9);
    assert_eq!(figures.ttft_p95, Duration::ZERO);
}

#[test]
fn json_has_the_promised_names() {
    let figures = Figures::of(&run(vec![record(100, 32, 10, 0)]));
    let json = json(&[figures]);
    assert_eq!(
        json.to_string(),
        r#"{"runs":[{"policy":"kv","requests":1,"errors":0,"hit_ratio":0.32,"prefill_tokens":68,"ttft_ms":{"p50":10.0,"p95":10.0},"imbalance":2.0}]}"#
    );
}

#[test]
fn numbers_are_grouped() {
    let texts = [0.0, 999.0, 1000.0, 1_234_567.0].map(number);
    assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
}

#[test]
fn receipts_are_read_by_name() {
    let receipt = Receipt::read("policy=kv state=approximate overlap_tokens=7 tier=gpu");
    assert_eq!(
        (receipt.state.as_str(), receipt.overlap_tokens),
        ("approximate", 7)
    );
    assert_eq!(Receipt::read("").state, "unknown");
}
