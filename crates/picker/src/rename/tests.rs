use super::{Renamer, rename_request};
use bytes::Bytes;

fn renamed(body: &str, model: &str) -> Option<String> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    rename_request(&body, model).map(|bytes| String::from_utf8(bytes.to_vec()).expect("text"))
}

#[test]
fn only_the_model_of_a_request_changes() {
    let body = r#"{ "prompt":"\"model\":\"a\"",  "model" : "a" ,"x":{"model":"a"}}"#;
    let want = r#"{ "prompt":"\"model\":\"a\"",  "model" : "b\"c" ,"x":{"model":"a"}}"#;
    assert_eq!(renamed(body, "b\"c").as_deref(), Some(want));
    let twice = r#"{"model":"a","model":"\u0061"}"#;
    let last = r#"{"model":"a","model":"b"}"#;
    assert_eq!(
        renamed(twice, "b").as_deref(),
        Some(last),
        "as Python reads it"
    );
    assert_eq!(renamed("{}", "b"), None);
    assert_eq!(renamed("[1]", "b"), None);
}

#[test]
fn an_answers_model_is_the_clients_however_it_is_cut() {
    let text = r#"data: {"model":"big-v2","choices":[]}

data: {"model": "big-v2","x":"\"model\"","model":"big-v","model":"big-v2"}"#;
    let want = text.replace("\"big-v2\"", "\"big\"");
    for size in 1..text.len() {
        let mut renamer = Renamer::new("big-v2", "big");
        let mut out = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            out.extend_from_slice(&renamer.push(&Bytes::copy_from_slice(piece)));
        }
        out.extend_from_slice(&renamer.end());
        assert_eq!(
            String::from_utf8(out).expect("text"),
            want,
            "pieces of {size}"
        );
    }
}

#[test]
fn a_whole_event_is_never_held_up() {
    let mut renamer = Renamer::new("a", "b");
    let event = Bytes::from_static(b"data: {\"model\":\"c\"}\n\n");
    let passed = renamer.push(&event);
    assert_eq!(passed, event);
    assert_eq!(passed.as_ptr(), event.as_ptr(), "nor copied");
}
