//! Logs of requests as OpenAI's clients send them: one JSON object a line, the body itself or one
//! with the body in it.
//!
//! ```text
//! {"timestamp":1790000000.5,"body":{"messages":[..],"user":"u"},"response":{"usage":{..}}}
//! {"messages":[..],"max_tokens":64}
//! ```
//!
//! There is no tokenizer here: four bytes of text are a token, so that a block of 64 tokens is 256
//! bytes, unless prompts are token ids already. Of the text only hashes are kept.

use super::{Names, Request, Trace, TraceError};
use onefill_kv::KeySeed;
use serde_json::Value;
use std::time::Duration;

const BLOCK_TOKENS: u32 = 64;
const TOKEN_BYTES: usize = 4;
/// Time between two requests where no line says when.
const GAP: Duration = Duration::from_millis(100);
/// Numbers from here on are milliseconds since 1970, not seconds.
const MS_FROM: f64 = 1e11;
/// Where a log keeps the body, the time, what names a session, and what was reported.
const BODIES: [&str; 3] = ["body", "request", "request_body"];
const TIMES: [&str; 5] = ["timestamp", "created", "created_at", "time", "ts"];
const SESSIONS: [&str; 4] = ["session_id", "session", "prompt_cache_key", "user"];

/// Reads a log.
pub fn openai(name: &str, text: &str) -> Result<Trace, TraceError> {
    let mut names = Names::default();
    let mut requests: Vec<Request> = Vec::new();
    let mut start_s = None;
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let log: Value =
            serde_json::from_str(line).map_err(|error| TraceError::line(number, error))?;
        let body = BODIES.iter().find_map(|key| log.get(*key)).unwrap_or(&log);
        let prompt = prompt(body);
        if prompt.is_empty() {
            let why = "no messages, prompt or input with text in it";
            return Err(TraceError::line(number, why));
        }
        let at = match seconds(&log) {
            Some(at_s) => Duration::from_secs_f64((at_s - *start_s.get_or_insert(at_s)).max(0.0)),
            None => requests.last().map_or(Duration::ZERO, |last| last.at + GAP),
        };
        let usage = log.pointer("/response/usage").or_else(|| log.get("usage"));
        let told = |names: [&str; 2]| {
            let count = names.iter().find_map(|name| usage?.get(*name)?.as_u64());
            count.and_then(|count| u32::try_from(count).ok())
        };
        let guessed = u32::try_from(prompt.len() / TOKEN_BYTES).unwrap_or(u32::MAX);
        let most = ["max_tokens", "max_completion_tokens"];
        let most = most.iter().find_map(|name| body.get(*name)?.as_u64());
        let most = most.and_then(|most| u32::try_from(most).ok());
        let blocks = prompt.chunks_exact(BLOCK_TOKENS as usize * TOKEN_BYTES);
        requests.push(Request {
            at,
            prompt_tokens: told(["prompt_tokens", "input_tokens"]).unwrap_or(guessed),
            output_tokens: told(["completion_tokens", "output_tokens"])
                .or(most)
                .unwrap_or(1),
            blocks: names.chain(blocks.map(hash)),
            answer: Box::default(),
            session: session(&log, body),
            after: None,
        });
    }
    Trace::open(name, BLOCK_TOKENS, requests, names)
}

fn hash(bytes: &[u8]) -> u64 {
    KeySeed(0).content_of_bytes(bytes).0
}

fn seconds(log: &Value) -> Option<f64> {
    let value = TIMES.iter().find_map(|key| log.get(*key)?.as_f64())?;
    Some(if value >= MS_FROM { value / 1e3 } else { value })
}

fn session(log: &Value, body: &Value) -> Option<u64> {
    let named = |value: &Value| {
        let name = SESSIONS.iter().find_map(|key| value.get(*key)?.as_str())?;
        Some(hash(name.as_bytes()))
    };
    named(log).or_else(|| named(body))
}

/// All of the prompt in the order in which a template would write it: what is equal up to some
/// place is equal there too.
fn prompt(body: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(tools) = body.get("tools") {
        bytes.extend_from_slice(tools.to_string().as_bytes());
    }
    for key in ["system", "instructions", "messages", "prompt", "input"] {
        if let Some(part) = body.get(key) {
            write(part, &mut bytes);
        }
    }
    bytes
}

fn write(value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::String(text) => bytes.extend_from_slice(text.as_bytes()),
        // A token id.
        Value::Number(number) => {
            let id = number.as_u64().unwrap_or(0) as u32;
            bytes.extend_from_slice(&id.to_le_bytes());
        }
        Value::Array(parts) => parts.iter().for_each(|part| write(part, bytes)),
        Value::Object(fields) => {
            if let Some(role) = fields.get("role").and_then(Value::as_str) {
                bytes.extend_from_slice(role.as_bytes());
                bytes.push(b'\n');
            }
            for key in ["content", "text", "tool_calls", "image_url"] {
                match fields.get(key) {
                    Some(Value::String(text)) => bytes.extend_from_slice(text.as_bytes()),
                    Some(part) if key == "content" => write(part, bytes),
                    Some(part) => bytes.extend_from_slice(part.to_string().as_bytes()),
                    None => {}
                }
            }
            bytes.push(b'\n');
        }
        Value::Null | Value::Bool(_) => {}
    }
}
