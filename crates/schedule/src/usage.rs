//! What a replica reports at the end of an answer, read from the last bytes that streamed by.
//! `{"usage":{"prompt_tokens":229,"total_tokens":237,"completion_tokens":8,
//! "prompt_tokens_details":{"cached_tokens":224}}}`; `/v1/responses` and `/v1/messages` say
//! `input_tokens`, `output_tokens` and `cache_read_input_tokens`.

use crate::Usage;
use bytes::Bytes;
use std::collections::VecDeque;

/// Bytes from the end in which the report is looked for: engines write it last, or nearly.
const TAIL_BYTES: usize = 4096;

/// The last pieces of an answer: kept, never copied until the end.
#[derive(Debug, Default)]
pub struct Tail {
    pieces: VecDeque<Bytes>,
    bytes: usize,
}

impl Tail {
    /// The next piece.
    pub fn push(&mut self, piece: &Bytes) {
        if piece.is_empty() {
            return; // HTTP/2 may send any number of them: nothing would drop them again
        }
        self.bytes += piece.len();
        self.pieces.push_back(piece.clone());
        while let Some(first) = self.pieces.front()
            && self.bytes - first.len() >= TAIL_BYTES
        {
            self.bytes -= first.len();
            self.pieces.pop_front();
        }
    }

    /// What is kept has a bound.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn assert_bounded(&self) {
        let first = self.pieces.front().map_or(0, Bytes::len);
        assert!(
            self.bytes < TAIL_BYTES + first.max(1),
            "{} bytes",
            self.bytes
        );
        assert!(
            self.pieces.len() <= TAIL_BYTES,
            "{} pieces",
            self.pieces.len()
        );
    }

    /// What was reported, if it was.
    pub fn usage(self) -> Usage {
        if let [only] = self.pieces.as_slices().0
            && self.pieces.len() == 1
        {
            return read(&only[only.len().saturating_sub(TAIL_BYTES)..]);
        }
        let joined: Vec<u8> = self.pieces.iter().flatten().copied().collect();
        read(&joined[joined.len().saturating_sub(TAIL_BYTES)..])
    }
}

/// Reads the last report in `tail`.
fn read(tail: &[u8]) -> Usage {
    let Some(report) = last_report(tail) else {
        return Usage::default();
    };
    let number = |names: &[&[u8]]| names.iter().find_map(|name| number_of(report, name));
    Usage {
        prompt_tokens: number(&[b"\"prompt_tokens\"", b"\"input_tokens\""]),
        cached_tokens: number(&[b"\"cached_tokens\"", b"\"cache_read_input_tokens\""]),
        output_tokens: number(&[b"\"completion_tokens\"", b"\"output_tokens\""]),
    }
}

/// The text of the last `"usage":{...}`, up to its closing brace or the end.
fn last_report(tail: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"\"usage\"";
    let mut end = tail.len();
    loop {
        let at = memchr::memmem::rfind(&tail[..end], NAME)?;
        let value = skip_to_value(&tail[at + NAME.len()..])?;
        if value.first() == Some(&b'{') {
            return Some(object(value));
        }
        end = at; // "usage":null
    }
}

/// The object that `text` starts with. Braces in strings don't occur in reports.
fn object(text: &[u8]) -> &[u8] {
    let mut depth = 0_usize;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return &text[..=at],
            b'}' => depth -= 1,
            _ => {}
        }
    }
    text
}

fn number_of(report: &[u8], name: &[u8]) -> Option<u32> {
    let at = memchr::memmem::find(report, name)?;
    let value = skip_to_value(&report[at + name.len()..])?;
    let digits = value
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    std::str::from_utf8(&value[..digits]).ok()?.parse().ok()
}

/// Past blanks and the colon.
fn skip_to_value(text: &[u8]) -> Option<&[u8]> {
    let at = text
        .iter()
        .position(|byte| !matches!(byte, b' ' | b':' | b'\n' | b'\t' | b'\r'))?;
    Some(&text[at..])
}

#[cfg(test)]
mod tests;
