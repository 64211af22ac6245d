//! `/v1/messages`, Anthropic's.

use super::{Form, Head, Part, Usage};
use crate::sequence::Finish;
use std::fmt::Write as _;

#[derive(Debug)]
pub(super) struct Messages;

impl Form for Messages {
    fn id_prefix(&self) -> &'static str {
        "msg_"
    }

    fn whole(&self, head: &Head, parts: &[Part], out: &mut String) {
        let Some(part) = parts.first() else { return };
        let text = &part.text;
        start(head, out);
        _ = write!(
            out,
            "\"content\":[{{\"type\":\"text\",\"text\":\"{text}\"}}],\"stop_reason\":\"{}\",\
             \"stop_sequence\":null,\"usage\":{}}}",
            reason(part.finish),
            usage(Usage::of(parts))
        );
    }

    fn begin(&self, head: &Head, part: &Part, out: &mut String) {
        out.push_str("event: message_start\ndata: {\"type\":\"message_start\",\"message\":");
        start(head, out);
        let begun = Usage {
            prompt: part.prompt_tokens,
            cached: part.cached_tokens,
            generated: 0,
        };
        _ = write!(
            out,
            "\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{}}}}}\n\n\
             event: content_block_start\ndata: {{\"type\":\"content_block_start\",\"index\":0,\
             \"content_block\":{{\"type\":\"text\",\"text\":\"\"}}}}\n\n",
            usage(begun)
        );
    }

    fn token(&self, _head: &Head, index: usize, text: &str, out: &mut String) {
        _ = write!(
            out,
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\
             \"index\":{index},\"delta\":{{\"type\":\"text_delta\",\"text\":\"{text}\"}}}}\n\n"
        );
    }

    fn end(&self, _head: &Head, part: &Part, out: &mut String) {
        let index = part.index;
        _ = write!(
            out,
            "event: content_block_stop\ndata: {{\"type\":\"content_block_stop\",\
             \"index\":{index}}}\n\n"
        );
    }

    fn close(&self, _head: &Head, parts: &[Part], _with_usage: bool, out: &mut String) {
        let finish = parts.first().map_or(Finish::Stop, |part| part.finish);
        _ = write!(
            out,
            "event: message_delta\ndata: {{\"type\":\"message_delta\",\"delta\":{{\
             \"stop_reason\":\"{}\",\"stop_sequence\":null}},\"usage\":{}}}\n\n\
             event: message_stop\ndata: {{\"type\":\"message_stop\"}}\n\n",
            reason(finish),
            usage(Usage::of(parts))
        );
    }
}

fn start(head: &Head, out: &mut String) {
    let Head { id, model, .. } = head;
    _ = write!(
        out,
        "{{\"id\":\"{id}\",\"type\":\"message\",\"role\":\"assistant\",\"model\":{model},"
    );
}

const fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
    }
}

fn usage(usage: Usage) -> String {
    let Usage {
        prompt,
        cached,
        generated,
    } = usage;
    format!(
        "{{\"input_tokens\":{prompt},\"output_tokens\":{generated},\
         \"cache_read_input_tokens\":{cached}}}"
    )
}
