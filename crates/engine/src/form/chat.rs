//! `/v1/chat/completions`.

use super::{Form, Head, Part, Usage, close_openai};
use std::fmt::Write as _;

#[derive(Debug)]
pub(super) struct Chat;

impl Form for Chat {
    fn id_prefix(&self) -> &'static str {
        "chatcmpl-"
    }

    fn whole(&self, head: &Head, parts: &[Part], out: &mut String) {
        out.push_str(&start(head, "chat.completion"));
        out.push_str("\"choices\":[");
        for part in parts {
            let Part { index, text, .. } = part;
            let finish = part.finish.name();
            _ = write!(
                out,
                "{{\"index\":{index},\"message\":{{\"role\":\"assistant\",\"content\":\"{text}\",\
                 \"refusal\":null,\"tool_calls\":[]}},\"logprobs\":null,\
                 \"finish_reason\":\"{finish}\",\"stop_reason\":null}}"
            );
        }
        _ = write!(out, "],\"usage\":{}", Usage::of(parts).json());
        if let Some((prompt, _)) = parts.first().and_then(|part| part.token_ids.as_ref()) {
            _ = write!(out, ",\"prompt_token_ids\":{prompt:?}");
        }
        out.push('}');
    }

    fn begin(&self, head: &Head, part: &Part, out: &mut String) {
        let (start, index) = (start(head, "chat.completion.chunk"), part.index);
        _ = write!(
            out,
            "data: {start}\"choices\":[{{\"index\":{index},\"delta\":{{\"role\":\"assistant\",\
             \"content\":\"\"}},\"logprobs\":null,\"finish_reason\":null}}]}}\n\n"
        );
    }

    fn token(&self, head: &Head, index: usize, text: &str, out: &mut String) {
        let start = start(head, "chat.completion.chunk");
        _ = write!(
            out,
            "data: {start}\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":\"{text}\"}},\
             \"logprobs\":null,\"finish_reason\":null}}]}}\n\n"
        );
    }

    fn end(&self, head: &Head, part: &Part, out: &mut String) {
        let (start, index) = (start(head, "chat.completion.chunk"), part.index);
        let finish = part.finish.name();
        _ = write!(
            out,
            "data: {start}\"choices\":[{{\"index\":{index},\"delta\":{{}},\"logprobs\":null,\
             \"finish_reason\":\"{finish}\",\"stop_reason\":null}}]}}\n\n"
        );
    }

    fn close(&self, head: &Head, parts: &[Part], with_usage: bool, out: &mut String) {
        close_openai(
            &start(head, "chat.completion.chunk"),
            parts,
            with_usage,
            out,
        );
    }
}

fn start(head: &Head, object: &str) -> String {
    let Head {
        id,
        created_s,
        model,
    } = head;
    format!("{{\"id\":\"{id}\",\"object\":\"{object}\",\"created\":{created_s},\"model\":{model},")
}
