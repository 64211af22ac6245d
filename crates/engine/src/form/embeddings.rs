//! `/v1/embeddings`: a short vector for each prompt. Never streamed.

use super::{Form, Head, Part, Usage};
use std::fmt::Write as _;

#[derive(Debug)]
pub(super) struct Embeddings;

impl Form for Embeddings {
    fn id_prefix(&self) -> &'static str {
        "embd-"
    }

    fn whole(&self, head: &Head, parts: &[Part], out: &mut String) {
        let Head {
            id,
            created_s,
            model,
        } = head;
        _ = write!(
            out,
            "{{\"id\":\"{id}\",\"object\":\"list\",\"created\":{created_s},\"model\":{model},\
             \"data\":["
        );
        for (place, part) in parts.iter().enumerate() {
            out.push_str(if place > 0 { "," } else { "" });
            let index = part.index;
            _ = write!(
                out,
                "{{\"index\":{index},\"object\":\"embedding\",\"embedding\":[0.6,0.8]}}"
            );
        }
        _ = write!(out, "],\"usage\":{}}}", Usage::of(parts).json());
    }

    fn begin(&self, _head: &Head, _part: &Part, _out: &mut String) {}

    fn token(&self, _head: &Head, _index: usize, _text: &str, _out: &mut String) {}

    fn end(&self, _head: &Head, _part: &Part, _out: &mut String) {}

    fn close(&self, head: &Head, parts: &[Part], _with_usage: bool, out: &mut String) {
        self.whole(head, parts, out);
    }
}
