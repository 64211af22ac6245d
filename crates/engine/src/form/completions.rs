//! `/v1/completions`: a choice for each prompt.

use super::{Form, Head, Part, Usage, close_openai};
use std::fmt::Write as _;

#[derive(Debug)]
pub(super) struct Completions;

impl Form for Completions {
    fn id_prefix(&self) -> &'static str {
        "cmpl-"
    }

    fn whole(&self, head: &Head, parts: &[Part], out: &mut String) {
        out.push_str(&start(head));
        out.push_str("\"choices\":[");
        for (place, part) in parts.iter().enumerate() {
            out.push_str(if place > 0 { "," } else { "" });
            choice(part.index, &part.text, Some(part), out);
        }
        _ = write!(out, "],\"usage\":{}}}", Usage::of(parts).json());
    }

    fn begin(&self, _head: &Head, _part: &Part, _out: &mut String) {}

    fn token(&self, head: &Head, index: usize, text: &str, out: &mut String) {
        event(head, out, |out| choice(index, text, None, out));
    }

    fn end(&self, head: &Head, part: &Part, out: &mut String) {
        event(head, out, |out| choice(part.index, "", Some(part), out));
    }

    fn close(&self, head: &Head, parts: &[Part], with_usage: bool, out: &mut String) {
        close_openai(&start(head), parts, with_usage, out);
    }
}

fn event(head: &Head, out: &mut String, choice: impl FnOnce(&mut String)) {
    out.push_str("data: ");
    out.push_str(&start(head));
    out.push_str("\"choices\":[");
    choice(out);
    out.push_str("]}\n\n");
}

/// `part`: the choice ends with this.
fn choice(index: usize, text: &str, part: Option<&Part>, out: &mut String) {
    let finish = part.map_or("null".into(), |part| format!("\"{}\"", part.finish.name()));
    _ = write!(
        out,
        "{{\"index\":{index},\"text\":\"{text}\",\"logprobs\":null,\"finish_reason\":{finish},\
         \"stop_reason\":null"
    );
    if let Some((prompt, answer)) = part.and_then(|part| part.token_ids.as_ref()) {
        _ = write!(
            out,
            ",\"prompt_token_ids\":{prompt:?},\"token_ids\":{answer:?}"
        );
    }
    out.push('}');
}

fn start(head: &Head) -> String {
    let Head {
        id,
        created_s,
        model,
    } = head;
    format!(
        "{{\"id\":\"{id}\",\"object\":\"text_completion\",\"created\":{created_s},\
         \"model\":{model},"
    )
}
