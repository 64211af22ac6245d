use super::*;
use serde_json::Value;

fn head() -> Head {
    Head {
        id: "x-1".into(),
        created_s: 7,
        model: "\"a \\\"b\\\"\"".into(),
    }
}

fn part(index: usize, text: &str) -> Part {
    Part {
        index,
        text: text.into(),
        finish: Finish::Length,
        prompt_tokens: 10,
        cached_tokens: 4,
        generated: 3,
        token_ids: Some((vec![5, 6], vec![7])),
    }
}

const DOORS: [Door; 5] = [
    Door::Chat,
    Door::Completions,
    Door::Responses,
    Door::Messages,
    Door::Embeddings,
];

#[test]
fn every_whole_answer_is_json_that_tells_its_model_and_usage() {
    for door in DOORS {
        let mut out = String::new();
        of(door).whole(&head(), &[part(0, " abc")], &mut out);
        let json: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}"));
        assert_eq!(json["model"], "a \"b\"", "{door:?}");
        let usage = &json["usage"];
        let input = usage.get("prompt_tokens").or(usage.get("input_tokens"));
        assert_eq!(input, Some(&Value::from(10)), "{out}");
        let cached = out.contains("\"cached_tokens\":4") || out.contains("_input_tokens\":4");
        assert!(cached, "{out}");
        assert_eq!(out.contains(" abc"), door != Door::Embeddings);
    }
}

#[test]
fn every_event_of_a_stream_is_json() {
    for door in DOORS.into_iter().filter(|door| *door != Door::Embeddings) {
        let (form, mut out) = (of(door), String::new());
        form.begin(&head(), &part(0, ""), &mut out);
        form.token(&head(), 0, " abc", &mut out);
        form.end(&head(), &part(0, ""), &mut out);
        form.close(&head(), &[part(0, "")], true, &mut out);
        assert!(out.ends_with("\n\n"));
        for event in out.split("\n\n").filter(|event| !event.is_empty()) {
            let data = event.lines().find_map(|line| line.strip_prefix("data: "));
            let data = data.unwrap_or_else(|| panic!("no data in {event:?}"));
            if data != "[DONE]" {
                assert!(serde_json::from_str::<Value>(data).is_ok(), "{data}");
            }
        }
    }
}

#[test]
fn a_completion_has_a_choice_for_each_prompt() {
    let mut out = String::new();
    of(Door::Completions).whole(&head(), &[part(0, " a"), part(1, " b")], &mut out);
    let json: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(json["choices"][1]["text"], " b");
    assert_eq!(json["choices"][1]["token_ids"][0], 7);
    assert_eq!(json["usage"]["prompt_tokens"], 20);
    assert_eq!(json["usage"]["total_tokens"], 26);
}

#[test]
fn usage_ends_a_stream_only_where_it_was_asked_for() {
    let mut out = String::new();
    of(Door::Chat).close(&head(), &[part(0, "")], false, &mut out);
    assert_eq!(out, "data: [DONE]\n\n");
}
