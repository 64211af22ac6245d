use super::*;
use onefill_schedule::Usage;
use prost_types::{Struct, Value, value::Kind};

const SSE: (&str, &str) = ("content-type", "text/event-stream");
const JSON: (&str, &str) = ("content-type", "application/json");
const OK: (&str, &str) = (":status", "200");

#[test]
fn an_answers_pieces_are_answered_one_by_one_as_they_come() {
    for bodies in [
        &["{\"a\":", "1}"][..],
        &["no healthy upstream"],
        &["{\"a\":1}", ""],
    ] {
        let mut stream = Stream::duplex();
        let (said, _) = answers(stream.say(Request::ResponseHeaders(headers(&[OK, JSON], false))));
        let Some(Response::ResponseHeaders(answer)) = &said[0].response else {
            panic!("headers")
        };
        assert_eq!(read(answer).0["x-went-into-resp-headers"], "true");
        for (place, body) in bodies.iter().enumerate() {
            let last = place + 1 == bodies.len();
            let (said, _) = answers(stream.say(Request::ResponseBody(piece(body, last))));
            assert_eq!(pieces_of(&said), [(Bytes::from(*body), last)]);
        }
    }
}

#[test]
fn the_first_byte_of_a_good_answer_counts_once() {
    for (status, want) in [("200", 1), ("500", 0)] {
        let mut stream = Stream::duplex().on_its_way(to_here());
        stream.say(Request::ResponseHeaders(headers(
            &[(":status", status), SSE],
            false,
        )));
        let mut seen = Vec::new();
        for body in ["", "data: {}\n\n", "data: {}\n\n"] {
            seen.extend(stream.say(Request::ResponseBody(piece(body, false))));
        }
        let first = seen.iter().filter(|act| matches!(act, Act::FirstByte));
        assert_eq!(first.count(), want, "{status}");
    }
}

#[test]
fn usage_is_read_from_the_end_of_a_stream() {
    let mut stream = Stream::duplex().on_its_way(to_here());
    stream.say(Request::ResponseHeaders(headers(&[OK, SSE], false)));
    stream.say(Request::ResponseBody(piece("data: {}\n\n", false)));
    let usage =
        "data: {\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":10}}\n\ndata: [DONE]\n\n";
    stream.say(Request::ResponseBody(piece(usage, false)));
    let acts = stream.say(Request::ResponseBody(piece("", true)));
    let done = finished(&acts).expect("the end");
    let want = Usage {
        prompt_tokens: Some(7),
        cached_tokens: None,
        output_tokens: Some(10),
    };
    assert_eq!(done.usage, want);
    assert_eq!(done.bytes, 10 + usage.len() as u64);
}

#[test]
fn an_answer_that_ends_with_trailers_is_over() {
    let renamed = Picked {
        renamed: Some(("big".into(), "small".into())),
        ..to_here()
    };
    let mut stream = Stream::duplex().on_its_way(renamed);
    stream.say(Request::ResponseHeaders(headers(&[OK], false)));
    let (said, _) = answers(stream.say(Request::ResponseBody(piece("x \"mod", false))));
    assert_eq!(pieces_of(&said), [("x ".into(), false)]);
    let (said, others) = answers(stream.say(Request::ResponseTrailers(Default::default())));
    assert_eq!(
        pieces_of(&said[..1]),
        [("\"mod".into(), false)],
        "what was held back"
    );
    assert!(matches!(
        said[1].response,
        Some(Response::ResponseTrailers(_))
    ));
    assert!(finished(&others).is_some());
}

#[test]
fn the_client_reads_the_model_that_it_asked_for() {
    let renamed = Picked {
        renamed: Some(("my-model-12345".into(), "my-model".into())),
        response_headers: vec![("x-session-token".into(), "abc".into())],
        ..to_here()
    };
    let mut stream = Stream::duplex().on_its_way(renamed);
    let (said, _) = answers(stream.say(Request::ResponseHeaders(headers(&[OK, SSE], false))));
    let Some(Response::ResponseHeaders(answer)) = &said[0].response else {
        panic!("headers")
    };
    assert_eq!(read(answer).0["x-session-token"], "abc");
    let common = answer.response.clone().unwrap_or_default();
    let removed = common.header_mutation.unwrap_or_default().remove_headers;
    assert_eq!(removed, ["content-length"], "its length is another");
    let mut out = Vec::new();
    for body in ["data: {\"model\":\"my-mo", "del-12345\"}\n\n"] {
        let (said, _) = answers(stream.say(Request::ResponseBody(piece(body, false))));
        out.extend(pieces_of(&said).into_iter().flat_map(|(bytes, _)| bytes));
    }
    assert_eq!(out, b"data: {\"model\":\"my-model\"}\n\n");
}

#[test]
fn who_has_answered_is_told_by_the_data_plane() {
    let mut stream = Stream::duplex().on_its_way(to_here());
    let served = Kind::StringValue("10.0.0.2:8000".into());
    let key = "x-gateway-destination-endpoint-served".to_owned();
    let lb = Struct {
        fields: [(key, Value { kind: Some(served) })].into(),
    };
    stream.metadata = Some(Metadata {
        filter_metadata: [("envoy.lb".to_owned(), lb)].into(),
    });
    let acts = stream.say(Request::ResponseHeaders(headers(&[OK], true)));
    assert!(matches!(&acts[0], Act::Served(address) if address == "10.0.0.2:8000"));
    assert!(finished(&acts).is_some(), "headers may be all");
}
