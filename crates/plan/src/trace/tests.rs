//! Readers on the smallest files of each format.

use super::{Format, FormatOptions, Request, TraceError, read};
use std::time::Duration;

fn options() -> FormatOptions {
    FormatOptions::default()
}

#[test]
fn mooncake_blocks_are_shared_as_far_as_prefixes_are() {
    let text = r#"{"timestamp": 0, "input_length": 1300, "output_length": 5, "hash_ids": [0, 1, 2]}
{"timestamp": 27, "input_length": 1024, "output_length": 7, "hash_ids": [0, 1]}
{"timestamp": 30, "input_length": 1024, "output_length": 7, "hash_ids": [1, 0]}
"#;
    let trace = read("t", text.as_bytes(), None, &options()).expect("good");
    assert_eq!(trace.block_tokens, 512);
    let [one, two, three] = &trace.requests[..] else {
        panic!("three requests");
    };
    assert_eq!(one.blocks[..2], two.blocks[..]);
    assert_eq!(one.tokens(3, 512), 1300, "the last block is partial");
    assert!(three.blocks.iter().all(|block| !one.blocks.contains(block)));
    assert_eq!(two.at, Duration::from_millis(27));
}

#[test]
fn agent_sessions_share_their_tools_and_keep_the_rest_apart() {
    let session = r#"{"id":"a","models":["m"],"block_size":64,"tool_tokens":200,"system_tokens":56,"requests":[{"t":0.0,"type":"n","model":"m","in":640,"out":3,"runs":[[1,10]]},{"t":5000.0,"type":"n","model":"m","in":704,"out":3,"runs":[[1,11]]},{"t":1.0,"type":"subagent","models":["m"],"tool_tokens":0,"system_tokens":0,"requests":[{"t":2.0,"type":"n","model":"m","in":512,"out":3,"runs":[[1,8]]}]}]}"#;
    let text = format!("{session}\n{session}\n");
    let trace = read("t", text.as_bytes(), None, &options()).expect("good");
    assert_eq!(trace.requests.len(), 6);
    let full = |request: &Request| request.blocks.len() == 2;
    assert!(
        trace.requests.iter().all(full),
        "partial blocks are left out"
    );
    let first = trace.requests[0].session;
    let mine: Vec<_> = trace
        .requests
        .iter()
        .filter(|r| r.session == first)
        .collect();
    let same_tools = |request: &&Request| {
        request.session != first && request.blocks[0] == trace.requests[0].blocks[0]
    };
    let other = trace
        .requests
        .iter()
        .find(same_tools)
        .expect("another session");
    assert_eq!(mine.len(), 2);
    assert!(
        mine[1].at - mine[0].at <= Duration::from_secs(1803),
        "a pause is capped"
    );
    assert_ne!(mine[0].blocks[1], other.blocks[1]);
}

#[test]
fn azure_rows_are_arrivals_and_lengths() {
    let text = "TIMESTAMP,ContextTokens,GeneratedTokens\n\
        2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:18:04.4799600,110,27\n";
    let trace = read("t", text.as_bytes(), None, &options()).expect("good");
    assert_eq!(trace.requests[1].at, Duration::from_millis(60_500));
    assert_eq!(trace.requests[0].prompt_tokens, 4808);
    assert_eq!(trace.requests[0].blocks.len(), 4808 / 64);
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let bad = read(
        "t",
        b"{\"hash_ids\": []}\nnonsense",
        Some(Format::Mooncake),
        &options(),
    );
    assert!(
        matches!(bad, Err(TraceError::Line { line: 1, .. })),
        "{bad:?}"
    );
    let unknown = read("t", b"hello", None, &options());
    assert!(matches!(unknown, Err(TraceError::UnknownFormat)));
    let damaged = read("t", &[0x1f, 0x8b, 1, 2, 3], None, &options());
    assert!(matches!(damaged, Err(TraceError::Gzip(_))));
}

#[test]
fn logs_of_bodies_share_blocks_as_far_as_their_texts_go() {
    let document = "what is written in the document ".repeat(36);
    let line = |at: f64, question: &str| {
        format!(
            r#"{{"timestamp":{at},"body":{{"messages":[{{"role":"system","content":"{document}"}},{{"role":"user","content":[{{"type":"text","text":"{question}"}}]}}],"user":"u"}},"response":{{"usage":{{"prompt_tokens":333,"completion_tokens":9}}}}}}"#
        )
    };
    let text = format!(
        "{}\n{}\n",
        line(1.79e12, &"and who wrote it? ".repeat(10)),
        line(1.790_000_002_5e12, &"and when was it written? ".repeat(10))
    );
    let trace = read("t", text.as_bytes(), None, &options()).expect("good");
    let [one, two] = &trace.requests[..] else {
        panic!("two requests");
    };
    assert_eq!(one.blocks.len(), 5, "1,300 bytes and more");
    assert_eq!(one.blocks[..4], two.blocks[..4]);
    assert_ne!(one.blocks[4], two.blocks[4]);
    assert_eq!((one.prompt_tokens, one.output_tokens), (333, 9));
    assert_eq!(two.at, Duration::from_millis(2500));
    assert!(one.session.is_some() && one.session == two.session);
    let tokens = format!("{{\"prompt\":{:?}}}", (0..200).collect::<Vec<u32>>());
    let trace = read("t", tokens.as_bytes(), None, &options()).expect("good");
    assert_eq!(
        (
            trace.requests[0].prompt_tokens,
            trace.requests[0].blocks.len()
        ),
        (200, 3)
    );
    let empty = read("t", b"{\"messages\":[]}", None, &options());
    assert!(
        matches!(empty, Err(TraceError::Line { line: 1, .. })),
        "{empty:?}"
    );
}
