//! `/v1/responses`: one message of one text.

use super::{Form, Head, Part, Usage};
use std::fmt::Write as _;

#[derive(Debug)]
pub(super) struct Responses;

impl Form for Responses {
    fn id_prefix(&self) -> &'static str {
        "resp_"
    }

    fn whole(&self, head: &Head, parts: &[Part], out: &mut String) {
        let text = parts.first().map_or("", |part| part.text.as_str());
        response(head, "completed", text, Some(Usage::of(parts)), out);
    }

    fn begin(&self, head: &Head, _part: &Part, out: &mut String) {
        out.push_str("event: response.created\ndata: {\"type\":\"response.created\",\"response\":");
        response(head, "in_progress", "", None, out);
        out.push_str("}\n\n");
    }

    fn token(&self, head: &Head, index: usize, text: &str, out: &mut String) {
        let id = &head.id;
        _ = write!(
            out,
            "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\
             \"item_id\":\"msg_{id}\",\"output_index\":{index},\"content_index\":0,\
             \"delta\":\"{text}\"}}\n\n"
        );
    }

    fn end(&self, head: &Head, part: &Part, out: &mut String) {
        let (id, index) = (&head.id, part.index);
        _ = write!(
            out,
            "event: response.output_text.done\ndata: {{\"type\":\"response.output_text.done\",\
             \"item_id\":\"msg_{id}\",\"output_index\":{index},\"content_index\":0}}\n\n"
        );
    }

    fn close(&self, head: &Head, parts: &[Part], _with_usage: bool, out: &mut String) {
        out.push_str(
            "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":",
        );
        response(head, "completed", "", Some(Usage::of(parts)), out);
        out.push_str("}\n\n");
    }
}

fn response(head: &Head, status: &str, text: &str, usage: Option<Usage>, out: &mut String) {
    let Head {
        id,
        created_s,
        model,
    } = head;
    _ = write!(
        out,
        "{{\"id\":\"{id}\",\"object\":\"response\",\"created_at\":{created_s},\"model\":{model},\
         \"status\":\"{status}\",\"output\":[{{\"type\":\"message\",\"id\":\"msg_{id}\",\
         \"role\":\"assistant\",\"status\":\"{status}\",\"content\":[{{\"type\":\"output_text\",\
         \"text\":\"{text}\",\"annotations\":[]}}]}}],\"usage\":"
    );
    match usage {
        None => out.push_str("null}"),
        Some(Usage {
            prompt,
            cached,
            generated,
        }) => {
            let total = prompt + generated;
            _ = write!(
                out,
                "{{\"input_tokens\":{prompt},\"input_tokens_details\":{{\"cached_tokens\":{cached}}},\
                 \"output_tokens\":{generated},\"output_tokens_details\":{{\"reasoning_tokens\":0}},\
                 \"total_tokens\":{total}}}}}"
            );
        }
    }
}
