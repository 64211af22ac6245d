//! Canonical CBOR (RFC 8949 §4.2.1): shortest heads, definite lengths.

use super::{Digest, Extra};
use crate::TokenId;

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1 << 5;
const BYTES: u8 = 2 << 5;
const TEXT: u8 = 3 << 5;
const ARRAY: u8 = 4 << 5;
const NULL: u8 = 0xf6;

pub(super) struct Cbor<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Cbor<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.head(TEXT, text.len() as u64);
        self.out.extend(text.as_bytes());
    }

    fn texts(&mut self, texts: &[&str]) {
        texts.iter().for_each(|text| self.text(text));
    }

    pub(super) fn block(
        &mut self,
        parent: &Digest,
        tokens: &[TokenId],
        extras: &[Extra<'_>],
        tagged: bool,
    ) {
        self.head(ARRAY, 3);
        self.bytes(parent.as_bytes());
        self.head(ARRAY, tokens.len() as u64);
        for token in tokens {
            self.head(UNSIGNED, u64::from(*token));
        }
        if extras.is_empty() {
            return self.out.push(NULL);
        }
        self.head(ARRAY, extras.len() as u64);
        for extra in extras {
            if tagged {
                self.tagged(extra);
            } else {
                self.untagged(extra);
            }
        }
    }

    fn tagged(&mut self, extra: &Extra<'_>) {
        match *extra {
            Extra::Lora { name, path } => {
                self.head(ARRAY, 3);
                self.texts(&["lora", name, path]);
            }
            Extra::Multimodal { identity, offset } => {
                self.head(ARRAY, 3);
                self.texts(&["mm", identity]);
                self.signed(offset);
            }
            Extra::Salt(salt) => {
                self.head(ARRAY, 2);
                self.texts(&["cache_salt", salt]);
            }
            Extra::Embeds(digest) => {
                self.head(ARRAY, 2);
                self.text("prompt_embeds");
                self.bytes(digest);
            }
        }
    }

    fn untagged(&mut self, extra: &Extra<'_>) {
        match *extra {
            Extra::Lora { name: bare, .. } | Extra::Salt(bare) => self.text(bare),
            Extra::Embeds(digest) => self.bytes(digest),
            Extra::Multimodal { identity, offset } => {
                self.head(ARRAY, 2);
                self.text(identity);
                self.signed(offset);
            }
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.head(BYTES, bytes.len() as u64);
        self.out.extend(bytes);
    }

    fn signed(&mut self, number: i64) {
        match u64::try_from(number) {
            Ok(number) => self.head(UNSIGNED, number),
            Err(_) => self.head(NEGATIVE, (-1 - number).cast_unsigned()),
        }
    }

    fn head(&mut self, major: u8, number: u64) {
        let bytes = number.to_be_bytes();
        match number {
            0..24 => self.out.push(major | bytes[7]),
            24..0x100 => self.out.extend([major | 24, bytes[7]]),
            0x100..0x1_0000 => self.out.extend([major | 25, bytes[6], bytes[7]]),
            0x1_0000..0x1_0000_0000 => {
                self.out.push(major | 26);
                self.out.extend(&bytes[4..]);
            }
            _ => {
                self.out.push(major | 27);
                self.out.extend(bytes);
            }
        }
    }
}
