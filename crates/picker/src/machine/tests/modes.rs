use super::*;

const NONE: i32 = 0;
const STREAMED: i32 = 1;
const BUFFERED: i32 = 2;
const DUPLEX: i32 = 4;

#[test]
fn buffered_headers_are_answered_at_once_and_the_destination_goes_with_the_body() {
    let mut stream = Stream::with_modes(BUFFERED, BUFFERED);
    let (said, others) = answers(stream.post());
    assert!(others.is_empty());
    assert!(
        matches!(&said[0].response, Some(Response::RequestHeaders(empty)) if *empty == CommonAnswer::default())
    );
    let whole = to_decide(stream.say(Request::RequestBody(piece("{\"a\":1}", true))));
    assert_eq!(whole.body, "{\"a\":1}");
    let (said, _) = answers(stream.decided(to_here()));
    let Some(Response::RequestBody(answer)) = &said[0].response else {
        panic!("the body's answer")
    };
    let (set, body) = read(answer);
    assert_eq!(set["x-gateway-destination-endpoint"], HERE);
    assert_eq!(body, None, "the body stays as it is");
    assert!(
        answer
            .response
            .as_ref()
            .is_some_and(|common| common.clear_route_cache)
    );
    assert_eq!(told(&said[0]).as_deref(), Some(HERE));
    assert_eq!(said.len(), 1);
}

#[test]
fn a_buffered_body_is_replaced_whole_where_the_model_is_another() {
    let mut stream = Stream::with_modes(BUFFERED, BUFFERED);
    stream.post();
    stream.say(Request::RequestBody(piece("{}", true)));
    let picked = Picked {
        body: Some(Bytes::from_static(b"new")),
        renamed: Some(("big".into(), "small".into())),
        ..to_here()
    };
    let (said, _) = answers(stream.decided(picked));
    let Some(Response::RequestBody(answer)) = &said[0].response else {
        panic!("the body's answer")
    };
    let (set, body) = read(answer);
    assert_eq!(set["content-length"], "3");
    assert_eq!(body, Some(("new".into(), false)));
    stream.say(Request::ResponseHeaders(headers(
        &[(":status", "200")],
        false,
    )));
    let last = piece(r#"{"model":"big"}"#, true);
    let (said, _) = answers(stream.say(Request::ResponseBody(last)));
    let Some(Response::ResponseBody(answer)) = &said[0].response else {
        panic!("the answer's body")
    };
    assert_eq!(read(answer).1, Some((r#"{"model":"small"}"#.into(), false)));
}

#[test]
fn where_no_body_comes_by_the_headers_decide() {
    for mode in [NONE, STREAMED] {
        let mut stream = Stream::with_modes(mode, NONE);
        let whole = to_decide(stream.post());
        assert_eq!(whole.way, Way::Elsewhere);
        let (said, _) = answers(stream.decided(to_here()));
        assert_eq!(told(&said[0]).as_deref(), Some(HERE));
        assert_eq!(said.len(), 1);
    }
}

#[test]
fn a_streamed_body_goes_by_piece_by_piece_also_before_the_decision() {
    let mut stream = Stream::with_modes(STREAMED, STREAMED);
    stream.post();
    assert!(
        stream
            .say(Request::RequestBody(piece("a", false)))
            .is_empty()
    );
    let (said, _) = answers(stream.decided(to_here()));
    assert_eq!(said.len(), 2, "the headers, and the piece that waited");
    let (said, _) = answers(stream.say(Request::RequestBody(piece("b", true))));
    assert!(matches!(said[0].response, Some(Response::RequestBody(_))));
}

#[test]
fn what_waits_for_a_decision_has_a_bound() {
    let mut stream = Stream::with_modes(STREAMED, STREAMED);
    stream.post();
    for _ in 0..super::super::WAITING_MAX {
        assert!(
            stream
                .say(Request::RequestBody(piece("a", false)))
                .is_empty()
        );
    }
    let acts = stream.say(Request::RequestBody(piece("a", false)));
    assert!(matches!(acts[..], [Act::Fail(_)]));
    assert!(stream.decided(to_here()).is_empty());
}

#[test]
fn envoys_own_answer_may_come_before_the_request_is_whole() {
    let mut stream = Stream::with_modes(DUPLEX, DUPLEX);
    stream.post();
    let own = headers(&[(":status", "408")], true);
    let (said, others) = answers(stream.say(Request::ResponseHeaders(own)));
    assert!(matches!(
        said[0].response,
        Some(Response::ResponseHeaders(_))
    ));
    assert!(matches!(others[..], [Act::Answered(408), Act::Done(_)]));
    let mut stream = Stream::with_modes(DUPLEX, DUPLEX);
    stream.post();
    stream.say(Request::RequestBody(piece("{}", true)));
    stream.say(Request::ResponseHeaders(headers(
        &[(":status", "504")],
        false,
    )));
    assert!(
        stream.decided(to_here()).is_empty(),
        "the decision comes too late"
    );
}
