//! Text to tokens, remembering segments that were seen before.
//!
//! A tokenizer splits text at its added tokens (`<|im_start|>` and such) before anything else, so
//! what stands between two of them always gives the same tokens: a segment is looked up by a
//! 128-bit hash of its text, and a chat that grew by one turn costs only that turn. Tokenizers
//! whose first segment is special, or whose added tokens swallow spaces, are used whole.

use crate::{PromptError, words::Words};
use aho_corasick::{AhoCorasick, MatchKind};
use hashbrown::HashMap;
use onefill_kv::TokenId;
use parking_lot::Mutex;
use std::sync::Arc;
use tokenizers::Tokenizer;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// Tokens remembered in each of two generations: 2 x 16 MiB.
const MEMO_TOKENS_MAX: usize = 4 << 20;

/// An entry takes as much memory as so many tokens, beside its tokens.
const ENTRY_TOKENS: usize = 24;

/// Segments seen lately. Two generations: when the young one is full the old one is dropped and
/// they change places, so memory is bounded and what is in use stays.
#[derive(Default)]
struct Memo {
    young: HashMap<u128, Arc<[TokenId]>>,
    old: HashMap<u128, Arc<[TokenId]>>,
    young_tokens: usize,
}

impl Memo {
    fn get(&mut self, key: u128) -> Option<Arc<[TokenId]>> {
        if let Some(tokens) = self.young.get(&key) {
            return Some(Arc::clone(tokens));
        }
        let tokens = self.old.remove(&key)?;
        self.put(key, &tokens);
        Some(tokens)
    }

    fn put(&mut self, key: u128, tokens: &Arc<[TokenId]>) {
        if self.young_tokens >= MEMO_TOKENS_MAX {
            self.old = std::mem::take(&mut self.young);
            self.young_tokens = 0;
        }
        self.young_tokens += ENTRY_TOKENS + tokens.len();
        self.young.insert(key, Arc::clone(tokens));
    }
}

/// Which tokenizer.
enum Kind {
    HuggingFace(Box<Tokenizer>),
    Simulated,
}

/// Text to tokens.
pub(crate) struct Tokens {
    kind: Kind,
    /// Texts at which the tokenizer splits first, with their tokens, longest first.
    added: Vec<(String, TokenId)>,
    /// Finds them in one pass: some tokenizers have a thousand.
    finder: Option<AhoCorasick>,
    /// What the post-processor puts before a prompt (a begin-of-text token); `None`: more than
    /// that, so the whole text goes through it.
    begin: Option<Vec<TokenId>>,
    /// Whether segments can be encoded apart.
    splits: bool,
    /// Segments' words, where these can be encoded apart too.
    words: Option<Words>,
    memo: Mutex<Memo>,
}

fn failed(error: impl std::fmt::Display) -> PromptError {
    PromptError(format!("the tokenizer failed: {error}"))
}

/// Of several that begin at one place the longest, as tokenizers do. `None`: too many for an
/// automaton, so texts are not split.
fn finder(added: &[(String, TokenId)]) -> Option<AhoCorasick> {
    let texts = added.iter().map(|(text, _)| text);
    AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .build(texts)
        .ok()
}

impl Tokens {
    pub(crate) fn hugging_face(mut tokenizer: Tokenizer) -> Self {
        // An engine takes a prompt whole, however the file was saved.
        tokenizer.with_padding(None);
        _ = tokenizer.with_truncation(None); // fails only for a bad length
        let decoder = tokenizer.get_added_tokens_decoder();
        let plain = decoder
            .values()
            .all(|token| !token.lstrip && !token.rstrip && !token.single_word);
        let mut added: Vec<(String, TokenId)> = decoder
            .into_iter()
            .map(|(id, token)| (token.content, id))
            .collect();
        added.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        let words = Words::of(&tokenizer);
        let mut tokens = Self {
            words,
            kind: Kind::HuggingFace(Box::new(tokenizer)),
            finder: finder(&added),
            added,
            begin: None,
            splits: false,
            memo: Mutex::default(),
        };
        tokens.begin = tokens.begin_tokens();
        tokens.splits = plain && tokens.finder.is_some() && tokens.splits_exactly();
        tokens
    }

    pub(crate) fn simulated() -> Self {
        let added: Vec<(String, TokenId)> = SIMULATED_ADDED
            .iter()
            .map(|(text, id)| ((*text).to_owned(), *id))
            .collect();
        Self {
            words: None,
            kind: Kind::Simulated,
            finder: finder(&added),
            added,
            begin: Some(Vec::new()),
            splits: true,
            memo: Mutex::default(),
        }
    }

    fn begin_tokens(&self) -> Option<Vec<TokenId>> {
        let (with, without) = (
            self.whole("a b", true).ok()?,
            self.whole("a b", false).ok()?,
        );
        with.strip_suffix(without.as_slice())
            .map(<[TokenId]>::to_vec)
    }

    /// Tries whether segments apart give what the whole gives, on text that shows the known ways
    /// in which they may not (a space put before the first word only, spaces at borders).
    fn splits_exactly(&self) -> bool {
        let Some((marker, _)) = self.added.iter().find(|(text, _)| text.len() > 2) else {
            return true;
        };
        let probes = [
            format!("hello world{marker}hello world{marker} x\n\n{marker}{marker}  y "),
            format!("{marker}user\nGrüße, 世界 12345{marker}\n{marker}a"),
        ];
        probes.iter().all(
            |probe| match (self.segments(probe), self.whole(probe, false)) {
                (Ok(apart), Ok(whole)) => apart == whole,
                _ => false,
            },
        )
    }

    fn whole(&self, text: &str, special: bool) -> Result<Vec<TokenId>, PromptError> {
        match &self.kind {
            Kind::HuggingFace(tokenizer) => {
                let encoded = tokenizer.encode_fast(text, special).map_err(failed)?;
                Ok(encoded.get_ids().to_vec())
            }
            Kind::Simulated => Ok(simulated_pieces(text).map(simulated_id).collect()),
        }
    }

    /// Tokens of a text; `special`: with what the tokenizer adds around a prompt.
    pub(crate) fn encode(&self, text: &str, special: bool) -> Result<Vec<TokenId>, PromptError> {
        let begin = if special {
            self.begin.as_deref()
        } else {
            Some(&[][..])
        };
        let (Some(begin), true) = (begin, self.splits) else {
            return self.whole(text, special);
        };
        let mut tokens = begin.to_vec();
        tokens.extend(self.segments(text)?);
        Ok(tokens)
    }

    fn segments(&self, text: &str) -> Result<Vec<TokenId>, PromptError> {
        let mut tokens = Vec::with_capacity(text.len() / 3);
        let mut start = 0;
        for found in self.finder.iter().flat_map(|finder| finder.find_iter(text)) {
            self.segment(
                text.get(start..found.start()).unwrap_or_default(),
                &mut tokens,
            )?;
            let added = self.added.get(found.pattern().as_usize());
            tokens.extend(added.map(|(_, id)| *id));
            start = found.end();
        }
        self.segment(text.get(start..).unwrap_or_default(), &mut tokens)?;
        Ok(tokens)
    }

    fn segment(&self, text: &str, tokens: &mut Vec<TokenId>) -> Result<(), PromptError> {
        if text.is_empty() {
            return Ok(());
        }
        let key = xxh3_128(text.as_bytes());
        if let Some(known) = self.memo.lock().get(key) {
            tokens.extend_from_slice(&known);
            return Ok(());
        }
        let start = tokens.len();
        match &self.words {
            Some(words) => words.encode(text, tokens, |part| self.whole(part, false))?,
            None => tokens.extend(self.whole(text, false)?),
        }
        let new: Arc<[TokenId]> = tokens.get(start..).unwrap_or_default().into();
        self.memo.lock().put(key, &new);
        Ok(())
    }
}

/// The simulated tokenizer's added tokens.
const SIMULATED_ADDED: [(&str, TokenId); 3] =
    [("<|endoftext|>", 0), ("<|im_start|>", 1), ("<|im_end|>", 2)];
/// First number of an ordinary token, and how many there are.
const SIMULATED_IDS: (u32, u64) = (16, 120_000);
const SIMULATED_PIECE_BYTES: usize = 4;

/// Pieces of up to four bytes; a space or a line's end begins a new one. So a text's pieces are
/// those of its beginning, but for the last.
fn simulated_pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut ends = rest.char_indices().skip(1);
        let full = |place: usize, letter: char| {
            place + letter.len_utf8() > SIMULATED_PIECE_BYTES || letter.is_whitespace()
        };
        let end = ends
            .find(|(place, letter)| full(*place, *letter))
            .map_or(rest.len(), |(place, _)| place);
        let (piece, after) = rest.split_at(end);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

fn simulated_id(piece: &str) -> TokenId {
    let (first, count) = SIMULATED_IDS;
    first + u32::try_from(xxh3_64(piece.as_bytes()) % count).unwrap_or(0)
}

/// A word that the simulated tokenizer takes as one token, whatever follows it: a space and three
/// letters, chosen by `number`.
pub fn simulated_word(number: u64) -> String {
    let mixed = xxh3_64(&number.to_le_bytes());
    let letter = |shift: u32| char::from(b'a' + u8::try_from((mixed >> shift) % 26).unwrap_or(0));
    [' ', letter(0), letter(8), letter(16)].iter().collect()
}
