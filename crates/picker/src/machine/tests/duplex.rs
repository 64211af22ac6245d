use super::*;
use crate::refusal::{Code, Dropped};
use prost_types::{Struct, Value, value::Kind};

#[test]
fn nothing_is_answered_before_the_body_is_whole() {
    let mut stream = Stream::duplex();
    assert!(stream.post().is_empty());
    assert!(
        stream
            .say(Request::RequestBody(piece("{\"a\":", false)))
            .is_empty()
    );
    let whole = to_decide(stream.say(Request::RequestBody(piece("1}", true))));
    assert_eq!(whole.body, "{\"a\":1}");
    assert_eq!(whole.way, Way::Here);
}

#[test]
fn the_destination_stands_in_a_header_and_in_metadata_before_the_body() {
    let mut stream = Stream::duplex();
    stream.post();
    stream.say(Request::RequestBody(piece("{\"a\":1}", true)));
    let (said, others) = answers(stream.decided(to_here()));
    assert!(others.is_empty());
    let Some(Response::RequestHeaders(headers)) = &said[0].response else {
        panic!("headers first")
    };
    assert!(
        headers
            .response
            .as_ref()
            .is_some_and(|common| common.clear_route_cache)
    );
    let (set, body) = read(headers);
    assert_eq!(set["x-gateway-destination-endpoint"], HERE);
    assert_eq!(set["content-length"], "7");
    assert_eq!(set.len(), 2, "what the client sent stays as it is: {set:?}");
    assert_eq!(body, None);
    assert_eq!(told(&said[0]).as_deref(), Some(HERE));
    assert_eq!(pieces_of(&said[1..]), [("{\"a\":1}".into(), true)]);
}

#[test]
fn a_body_is_sent_on_in_pieces_that_envoy_takes() {
    for (bytes, pieces) in [(0, 1), (61_000, 1), (62_000, 1), (62_001, 2), (125_000, 3)] {
        let body: String = ('a'..='z').cycle().take(bytes).collect();
        let mut stream = Stream::duplex();
        stream.post();
        stream.say(Request::RequestBody(piece(&body, true)));
        let (said, _) = answers(stream.decided(to_here()));
        let sent = pieces_of(&said[1..]);
        assert_eq!(sent.len(), pieces, "{bytes}");
        let ends: Vec<bool> = sent.iter().map(|(_, ends)| *ends).collect();
        assert_eq!(ends.iter().filter(|ends| **ends).count(), 1);
        assert_eq!(ends.last(), Some(&true), "only the last piece ends it");
        let joined: Vec<u8> = sent.iter().flat_map(|(bytes, _)| bytes.to_vec()).collect();
        assert_eq!(joined, body.as_bytes());
    }
}

#[test]
fn a_request_that_ends_with_trailers_is_answered_too() {
    let mut stream = Stream::duplex();
    stream.post();
    stream.say(Request::RequestBody(piece("{}", false)));
    let whole = to_decide(stream.say(Request::RequestTrailers(Default::default())));
    assert_eq!(whole.body, "{}");
    let (said, _) = answers(stream.decided(to_here()));
    assert_eq!(
        pieces_of(&said[1..2]),
        [("{}".into(), false)],
        "trailers end it"
    );
    assert!(matches!(
        said[2].response,
        Some(Response::RequestTrailers(_))
    ));
    assert_eq!(said.len(), 3);
}

#[test]
fn headers_alone_are_decided_at_once() {
    let mut stream = Stream::duplex();
    let get = headers(&[(":path", "/v1/models")], true);
    let whole = to_decide(stream.say(Request::RequestHeaders(get)));
    assert_eq!(whole.way, Way::Nowhere);
    let (said, _) = answers(stream.decided(to_here()));
    assert_eq!(said.len(), 1, "no body follows");
    assert_eq!(told(&said[0]).as_deref(), Some(HERE));
}

#[test]
fn a_request_without_an_id_gets_one() {
    let mut stream = Stream::duplex();
    stream.say(Request::RequestHeaders(headers(&[("hi", "mom")], false)));
    stream.say(Request::RequestBody(piece("", true)));
    let (said, _) = answers(stream.decided(to_here()));
    let Some(Response::RequestHeaders(headers)) = &said[0].response else {
        panic!("headers first")
    };
    let id = &read(headers).0["x-request-id"];
    assert_eq!(
        id, "00000000-0000-4000-8000-000000000000",
        "a version 4 UUID"
    );
}

#[test]
fn the_raw_value_of_a_header_counts_and_names_have_no_case() {
    let mut stream = Stream::duplex();
    let mut message = headers(&[("X-Request-ID", "mine")], true);
    if let Some(map) = &mut message.headers {
        map.headers[0].value = "other".into();
    }
    let whole = to_decide(stream.say(Request::RequestHeaders(message)));
    assert_eq!(whole.headers.get("x-request-id").as_deref(), Some("mine"));
    assert_eq!(whole.fresh_id, None);
}

#[test]
fn current_names_of_control_headers_beat_their_aliases() {
    for (pairs, want) in [
        (&[("x-gateway-inference-objective", "old")][..], "old"),
        (
            &[
                ("x-gateway-inference-objective", "old"),
                ("x-llm-d-inference-objective", "new"),
            ],
            "new",
        ),
    ] {
        let mut stream = Stream::duplex();
        let whole = to_decide(stream.say(Request::RequestHeaders(headers(pairs, true))));
        assert_eq!(whole.control.objective.as_deref(), Some(want));
    }
    let pairs = [
        ("prefer", "respond-async, If-Available; x=1"),
        ("x-llm-d-model-name-rewrite", "m"),
    ];
    let whole = to_decide(Stream::duplex().say(Request::RequestHeaders(headers(&pairs, true))));
    assert!(whole.control.if_available);
    assert_eq!(whole.control.model_rewrite.as_deref(), Some("m"));
}

#[test]
fn a_subset_hint_may_come_with_the_headers_or_with_the_body() {
    let text = Kind::StringValue("10.0.0.1:8000".into());
    let key = "x-gateway-destination-endpoint-subset".to_owned();
    let hint = Struct {
        fields: [(key, Value { kind: Some(text) })].into(),
    };
    let hint = Metadata {
        filter_metadata: [("envoy.lb.subset_hint".to_owned(), hint)].into(),
    };
    for with_headers in [true, false] {
        let mut stream = Stream::duplex();
        stream.metadata = with_headers.then(|| hint.clone());
        stream.post();
        stream.metadata = (!with_headers).then(|| hint.clone());
        let whole = to_decide(stream.say(Request::RequestBody(piece("{}", true))));
        let subset = whole.subset.expect("the hint");
        assert!(subset.allows(HERE.parse().expect("an address")));
    }
}

#[test]
fn a_refusal_reaches_the_client_with_its_reason() {
    let mut stream = Stream::duplex();
    stream.post();
    stream.say(Request::RequestBody(piece("{}", true)));
    let (said, others) = answers(stream.refused(Refusal::no_candidates()));
    let Some(Response::Immediate(answer)) = &said[0].response else {
        panic!("an answer of Envoy's own")
    };
    assert_eq!(answer.status.map(|status| status.code), Some(503));
    assert_eq!(
        answer.body,
        "inference error: ServiceUnavailable - failed to find endpoint candidates for serving the request"
    );
    let reason = &set(answer.headers.as_ref())["x-llm-d-request-dropped-reason"];
    assert_eq!(reason, Dropped::NoEndpoints.name());
    assert!(matches!(others[..], [Act::Close]));
}

#[test]
fn a_body_beyond_the_limit_is_refused_before_it_is_kept() {
    let mut stream = Stream::duplex();
    stream.post();
    let large = "x".repeat(600 << 10);
    assert!(
        stream
            .say(Request::RequestBody(piece(&large, false)))
            .is_empty()
    );
    let (said, _) = answers(stream.say(Request::RequestBody(piece(&large, false))));
    let Some(Response::Immediate(answer)) = &said[0].response else {
        panic!("an answer of Envoy's own")
    };
    assert_eq!(answer.status.map(|status| status.code), Some(413));
    assert_eq!(stream.machine.held_bytes(), 0);
}

#[test]
fn a_body_that_does_not_come_is_refused_and_a_whole_one_never_is_late() {
    let mut stream = Stream::duplex();
    stream.post();
    let (said, _) = answers(stream.event(Event::Late));
    let Some(Response::Immediate(answer)) = &said[0].response else {
        panic!("an answer of Envoy's own")
    };
    assert_eq!(
        answer.status.map(|s| s.code),
        Some(i32::from(Code::Timeout.status()))
    );
    let mut stream = Stream::duplex().on_its_way(to_here());
    assert!(stream.event(Event::Late).is_empty());
}

#[test]
fn where_the_answer_is_of_no_concern_the_stream_is_closed_after_the_request() {
    let mut stream = Stream::duplex();
    stream.post();
    stream.say(Request::RequestBody(piece("{}", true)));
    let picked = Picked {
        alone: true,
        ..to_here()
    };
    let (said, others) = answers(stream.decided(picked));
    assert_eq!(said.len(), 2);
    assert!(matches!(others[..], [Act::Close]));
}

#[test]
fn messages_out_of_turn_end_the_stream_with_an_error() {
    let mut stream = Stream::duplex();
    stream.post();
    let acts = stream.post();
    assert!(matches!(acts[..], [Act::Fail(_)]));
    let acts = Stream::duplex().say(Request::RequestBody(piece("", true)));
    assert!(matches!(acts[..], [Act::Fail(_)]));
    let empty = Event::Message(ProcessingRequest::default());
    assert!(matches!(Stream::duplex().event(empty)[..], [Act::Fail(_)]));
}

#[test]
fn an_observer_is_told_and_not_asked() {
    let message = ProcessingRequest {
        request: Some(Request::RequestHeaders(headers(&[], true))),
        observability_mode: true,
        ..ProcessingRequest::default()
    };
    let acts = Stream::duplex().event(Event::Message(message));
    assert!(matches!(acts[..], [Act::Close]));
}

#[test]
fn two_streams_with_one_request_id_stay_apart() {
    let (mut one, mut two) = (Stream::duplex(), Stream::duplex());
    one.post();
    two.post();
    one.say(Request::RequestBody(piece("1", false)));
    two.say(Request::RequestBody(piece("2", false)));
    assert_eq!(
        to_decide(one.say(Request::RequestBody(piece("", true)))).body,
        "1"
    );
    assert_eq!(
        to_decide(two.say(Request::RequestBody(piece("", true)))).body,
        "2"
    );
}
