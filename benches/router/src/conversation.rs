//! A conversation that grows by a turn a request.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{path::Path, sync::Arc};

/// Bytes of the first request's text ...
const START_BYTES: usize = 4_000;
/// ... and those at which the next conversation begins: 8 KB in the mean, in 33 turns.
const END_BYTES: usize = 12_000;

/// What people write: words that the tokenizer knows, so that a token has the four to five bytes
/// that it has in English text with a model's own tokenizer.
#[derive(Clone)]
pub struct Vocabulary(Arc<[String]>);

impl Vocabulary {
    /// Of a `tokenizer.json`: the small words that it takes as one token each.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("tokenizer.json");
        let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let all: Value = serde_json::from_slice(&text)?;
        let entries = all["model"]["vocab"].as_object().context("no vocabulary")?;
        let small = |word: &str| word.len() > 1 && word.bytes().all(|b| b.is_ascii_lowercase());
        // byte-level BPE writes the space before a word so
        let words = entries
            .keys()
            .filter_map(|token| token.strip_prefix('\u{120}'));
        let mut words: Vec<String> = words
            .filter(|word| small(word))
            .map(str::to_owned)
            .collect();
        ensure!(words.len() > 100, "{} knows few words", path.display());
        words.sort();
        Ok(Self(words.into()))
    }
}

/// Words by a seed: a multiplicative generator (Knuth's MMIX constants).
struct Words {
    vocabulary: Vocabulary,
    state: u64,
}

impl Words {
    fn next(&mut self) -> u64 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.state >> 33
    }

    fn text(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 12);
        while text.len() < bytes {
            let place = self.next() as usize % self.vocabulary.0.len();
            text.push_str(&self.vocabulary.0[place]);
            text.push(' ');
        }
        text
    }
}

/// Requests of conversations, one after the other.
pub struct Conversation {
    words: Words,
    messages: Vec<Value>,
    bytes: usize,
}

impl Conversation {
    pub fn new(vocabulary: &Vocabulary, seed: u64) -> Self {
        let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self {
            words: Words {
                vocabulary: vocabulary.clone(),
                state,
            },
            messages: Vec::new(),
            bytes: usize::MAX,
        }
    }

    fn say(&mut self, role: &str, bytes: usize) {
        let text = self.words.text(bytes);
        self.bytes += text.len();
        self.messages.push(json!({"role": role, "content": text}));
    }

    /// The next turn's request, headers and body.
    pub fn request(&mut self, port: u16) -> Vec<u8> {
        if self.bytes > END_BYTES {
            (self.messages, self.bytes) = (Vec::new(), 0);
            self.say("system", START_BYTES);
        } else {
            self.say("assistant", 60);
        }
        self.say("user", 180);
        let body = json!({
            "model": "simulated", "messages": self.messages, "max_tokens": 1, "temperature": 0,
        })
        .to_string();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        [head.into_bytes(), body.into_bytes()].concat()
    }
}
