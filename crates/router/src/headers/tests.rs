use super::*;

fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let value = HeaderValue::from_static;
    pairs
        .iter()
        .map(|(name, text)| (HeaderName::from_static(name), value(text)))
        .collect()
}

#[test]
fn what_belongs_to_a_hop_stays_there() {
    let mut headers = map(&[
        ("connection", "close, x-mine"),
        ("x-mine", "1"),
        ("te", "trailers"),
        ("transfer-encoding", "chunked"),
        ("keep-alive", "timeout=5"),
        ("traceparent", "00-1-2-3"),
        ("authorization", "Bearer a"),
    ]);
    strip_hop_by_hop(&mut headers);
    assert_eq!(
        headers,
        map(&[("traceparent", "00-1-2-3"), ("authorization", "Bearer a")])
    );
}

#[test]
fn a_clients_id_is_kept_and_others_are_made() {
    assert_eq!(request_id(&mut map(&[("x-request-id", "mine")])), "mine");
    let mut none = HeaderMap::new();
    let made = request_id(&mut none);
    assert_eq!(none.get(REQUEST_ID), Some(&made));
    assert_ne!(made, request_id(&mut HeaderMap::new()));
}
