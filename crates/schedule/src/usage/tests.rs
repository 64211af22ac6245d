use super::*;

fn usage(prompt: u32, cached: Option<u32>, output: u32) -> Usage {
    Usage {
        prompt_tokens: Some(prompt),
        cached_tokens: cached,
        output_tokens: Some(output),
    }
}

#[test]
fn of_a_whole_answer() {
    let body = br#"{"id":"c","choices":[{"text":"\"usage\": {"}],"usage":{"prompt_tokens":229,"total_tokens":237,"completion_tokens":8,"prompt_tokens_details":{"cached_tokens":224,"created_cache_tokens":0}},"kv_transfer_params":null}"#;
    assert_eq!(read(body), usage(229, Some(224), 8));
}

#[test]
fn of_the_last_event_but_done_however_it_is_cut() {
    let stream = b"data: {\"choices\":[{\"text\":\"a\"}],\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\": 9, \"completion_tokens\": 2, \"prompt_tokens_details\": null}}\n\ndata: [DONE]\n\n";
    for cut in 0..stream.len() {
        let mut tail = Tail::default();
        tail.push(&Bytes::copy_from_slice(&stream[..cut]));
        tail.push(&Bytes::copy_from_slice(&stream[cut..]));
        assert_eq!(tail.usage(), usage(9, None, 2), "cut at {cut}");
    }
}

#[test]
fn of_messages() {
    let body = br#"{"usage":{"input_tokens":12,"output_tokens":3,"cache_read_input_tokens":8}}"#;
    assert_eq!(read(body), usage(12, Some(8), 3));
}

#[test]
fn nothing_reported_is_nothing() {
    for body in [
        &b""[..],
        b"{}",
        b"\"usage\"",
        b"\"usage\":null",
        b"\"usage\":{\"prompt_tokens\":",
    ] {
        assert_eq!(read(body), Usage::default(), "{body:?}");
    }
}

#[test]
fn a_long_answer_keeps_only_its_tail() {
    let mut tail = Tail::default();
    for _ in 0..10_000 {
        tail.push(&Bytes::from_static(&[b'x'; 100]));
    }
    assert!(tail.bytes < TAIL_BYTES + 100);
    assert!(tail.pieces.len() <= TAIL_BYTES / 100 + 1);
}

#[test]
fn empty_pieces_take_no_room() {
    let mut tail = Tail::default();
    for _ in 0..10_000 {
        tail.push(&Bytes::new());
    }
    assert_eq!(tail.pieces.len(), 0);
}
