//! What a simulated replica answers: words of its tokenizer's own, the same for the same prompt.
//! Sent back in a conversation's next turn they give the same tokens again, as a real model's do.

use onefill_kv::{GOLDEN, KeySeed, TokenId, mix};
use onefill_prompt::{Asked, Input, PromptError, Prompter, simulated_word};

/// Words known.
const WORDS: u64 = 4096;
/// Shortest and longest answer that ends by itself, in tokens; its end is one of them.
const ANSWER_TOKENS: (u64, u64) = (16, 128);

/// Words and their tokens.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    words: Vec<(String, TokenId)>,
    /// Token that ends an answer; the chat template puts the same after it.
    end: TokenId,
}

/// A space and one or two letters.
fn short_words() -> impl Iterator<Item = String> {
    let letters = || (b'a'..=b'z').map(char::from);
    let one = letters().map(|a| format!(" {a}"));
    one.chain(letters().flat_map(move |a| letters().map(move |b| format!(" {a}{b}"))))
}

impl Vocabulary {
    pub(crate) fn new(prompter: &Prompter) -> Result<Self, PromptError> {
        let tokens = |text: String| {
            prompter.tokens(&Asked {
                input: Input::Text(vec![text.into()]),
                ..Asked::default()
            })
        };
        let end = tokens("<|im_end|>".into())?.first().copied();
        let mut words: Vec<(String, TokenId)> = Vec::new();
        for word in (0..WORDS).map(simulated_word).chain(short_words()) {
            // Of a real tokenizer only words that are one token.
            if let [token] = *tokens(word.clone())? {
                words.push((word, token));
            }
        }
        Ok(Self {
            words,
            end: end.ok_or_else(|| PromptError("no token ends an answer".into()))?,
        })
    }

    fn word(&self, number: u64) -> Option<&(String, TokenId)> {
        let count = self.words.len().max(1) as u64;
        self.words.get(usize::try_from(number % count).unwrap_or(0))
    }
}

/// One answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Speech {
    seed: u64,
    /// Tokens, the end counted.
    pub(crate) tokens: usize,
    /// Whether the last token ends it.
    pub(crate) stops: bool,
}

impl Speech {
    /// The answer to a prompt, of `most` tokens at most; `goes_on`: it does not end before.
    pub(crate) fn of(prompt: &[TokenId], seed: u64, most: usize, goes_on: bool) -> Self {
        let seed = KeySeed(seed).content(prompt).0;
        let (shortest, longest) = ANSWER_TOKENS;
        let natural = shortest + mix(seed.wrapping_add(GOLDEN)) % (longest - shortest + 1);
        let natural = usize::try_from(natural).unwrap_or(usize::MAX);
        let stops = !goes_on && natural <= most;
        Self {
            seed,
            tokens: if stops { natural } else { most },
            stops,
        }
    }

    /// No answer: only the prompt is computed.
    pub(crate) const fn silent(self) -> Self {
        Self {
            tokens: 0,
            stops: true,
            ..self
        }
    }

    /// Appends its tokens.
    pub(crate) fn append(&self, vocabulary: &Vocabulary, tokens: &mut Vec<TokenId>) {
        let words = (0..self.words()).filter_map(|place| vocabulary.word(self.number(place)));
        tokens.extend(words.map(|(_, token)| *token));
        if self.stops && self.tokens > 0 {
            tokens.push(vocabulary.end);
        }
    }

    /// The text of one token; the end has none.
    pub(crate) fn text<'v>(&self, vocabulary: &'v Vocabulary, place: usize) -> &'v str {
        if place >= self.words() {
            return "";
        }
        let word = vocabulary.word(self.number(place));
        word.map_or("", |(word, _)| word.as_str())
    }

    fn words(&self) -> usize {
        self.tokens.saturating_sub(usize::from(self.stops))
    }

    fn number(&self, place: usize) -> u64 {
        mix(self.seed.wrapping_add(place as u64))
    }
}

#[cfg(test)]
mod tests;
