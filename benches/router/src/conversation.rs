//! A conversation that grows by a turn a request.

use serde_json::{Value, json};

/// Bytes of the first request's text ...
const START_BYTES: usize = 4_000;
/// ... and those at which the next conversation begins: 8 KB in the mean, in 33 turns.
const END_BYTES: usize = 12_000;

/// Different words.
const VOCABULARY: u64 = 3_000;

/// The finaliser of `SplitMix64`.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Words by a seed: a multiplicative generator (Knuth's MMIX constants).
pub struct Words(u64);

impl Words {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// Words of a vocabulary, as texts of people have.
    fn text(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 12);
        while text.len() < bytes {
            let word = mix(self.next() % VOCABULARY);
            for place in 0..3 + word % 7 {
                text.push(char::from(b'a' + ((word >> (8 + place * 5)) % 26) as u8));
            }
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
    pub fn new(seed: u64) -> Self {
        Self {
            words: Words::new(seed),
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
