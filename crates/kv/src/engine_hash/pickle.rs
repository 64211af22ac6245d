//! Python's pickle, protocol 5, as `CPython`'s C pickler writes it: tuples of bytes, numbers and texts.
//! Opcodes: <https://github.com/python/cpython/blob/main/Lib/pickletools.py>; frames: PEP 3154.
//!
//! ```text
//! 80 05 | frame.. | the last frame ends with 2e
//! frame   95 LENGTH:u64le BYTES, closed before a value that would start beyond 64 KiB;
//!         under four bytes without its head; a text or bytes of 64 KiB or more stand between frames
//! memo    94 behind each bytes, text and tuple but (): they are numbered from 0, and an object
//!         that comes again is written as 68 NUMBER
//! ```
//!
//! Which texts are one object can't be seen from outside. The tags are: they are constants of vLLM's
//! source. Names, identities and salts arrive by message and are objects of their own.

use super::{Digest, Extra};
use crate::TokenId;

/// Bytes at which `CPython` closes a frame.
const FRAME_TARGET: usize = 64 * 1024;
/// Frames shorter than this have no head.
const FRAME_MIN: usize = 4;
/// Opcode and length of a frame.
const FRAME_HEAD: usize = 9;

pub(super) struct Pickle<'a> {
    out: &'a mut Vec<u8>,
    /// Where the open frame's head stands.
    frame: Option<usize>,
    memoized: u32,
    /// The memo's number of "mm", the only tag that one block can have twice.
    image_tag: Option<u32>,
}

impl<'a> Pickle<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        out.extend([0x80, 5]);
        Self {
            out,
            frame: None,
            memoized: 0,
            image_tag: None,
        }
    }

    pub(super) fn end(mut self) {
        self.write(b".");
        self.close_frame();
    }

    pub(super) fn block(
        &mut self,
        parent: &Digest,
        tokens: &[TokenId],
        extras: &[Extra<'_>],
        tagged: bool,
    ) {
        self.tuple(3, |pickle| {
            pickle.bytes(parent.as_bytes());
            pickle.tuple(tokens.len(), |pickle| {
                for token in tokens {
                    pickle.number(i64::from(*token));
                }
            });
            pickle.extras(extras, tagged);
        });
    }

    fn extras(&mut self, extras: &[Extra<'_>], tagged: bool) {
        if extras.is_empty() {
            self.value();
            return self.write(b"N");
        }
        self.tuple(extras.len(), |pickle| {
            for extra in extras {
                if tagged {
                    pickle.tagged(extra);
                } else {
                    pickle.untagged(extra);
                }
            }
        });
    }

    fn tagged(&mut self, extra: &Extra<'_>) {
        match *extra {
            Extra::Lora { name, path } => self.tuple(3, |pickle| {
                pickle.texts(&["lora", name, path]);
            }),
            Extra::Multimodal { identity, offset } => self.tuple(3, |pickle| {
                pickle.image_tag();
                pickle.text(identity);
                pickle.number(offset);
            }),
            Extra::Salt(salt) => self.tuple(2, |pickle| {
                pickle.texts(&["cache_salt", salt]);
            }),
            Extra::Embeds(digest) => self.tuple(2, |pickle| {
                pickle.text("prompt_embeds");
                pickle.bytes(digest);
            }),
        }
    }

    fn untagged(&mut self, extra: &Extra<'_>) {
        match *extra {
            Extra::Lora { name: bare, .. } | Extra::Salt(bare) => self.text(bare),
            Extra::Embeds(digest) => self.bytes(digest),
            Extra::Multimodal { identity, offset } => self.tuple(2, |pickle| {
                pickle.text(identity);
                pickle.number(offset);
            }),
        }
    }

    fn image_tag(&mut self) {
        match self.image_tag.map(u32::to_le_bytes) {
            Some([number, 0, 0, 0]) => {
                self.value();
                self.write(&[b'h', number]);
            }
            Some(number) => {
                self.value();
                self.write(b"j");
                self.write(&number);
            }
            None => {
                self.image_tag = Some(self.memoized);
                self.text("mm");
            }
        }
    }

    /// A tuple of `count` values, which `write` writes.
    fn tuple(&mut self, count: usize, write: impl FnOnce(&mut Self)) {
        self.value();
        if count == 0 {
            return self.write(b")");
        }
        if count > 3 {
            self.write(b"(");
        }
        write(self);
        self.write(match count {
            1 => &[0x85],
            2 => &[0x86],
            3 => &[0x87],
            _ => b"t",
        });
        self.memoize();
    }

    pub(super) fn text(&mut self, text: &str) {
        self.sized(text.as_bytes(), 0x8c, b'X');
    }

    fn texts(&mut self, texts: &[&str]) {
        texts.iter().for_each(|text| self.text(text));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.sized(bytes, b'C', b'B');
    }

    /// Bytes behind their length, in one byte (opcode `short`) or four (`long`).
    fn sized(&mut self, bytes: &[u8], short: u8, long: u8) {
        self.value();
        let outside = bytes.len() >= FRAME_TARGET;
        if outside {
            self.close_frame();
        } else {
            self.open_frame();
        }
        match u8::try_from(bytes.len()) {
            Ok(length) => self.out.extend([short, length]),
            Err(_) => {
                // Longer texts than 4 GiB pass no server's body limit.
                let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                self.out.push(long);
                self.out.extend(length.to_le_bytes());
            }
        }
        self.out.extend(bytes);
        self.memoize();
    }

    fn number(&mut self, number: i64) {
        self.value();
        let bytes = number.to_le_bytes();
        match number {
            0..0x100 => self.write(&[b'K', bytes[0]]),
            0x100..0x1_0000 => self.write(&[b'M', bytes[0], bytes[1]]),
            -0x8000_0000..0x8000_0000 => {
                self.write(&[b'J', bytes[0], bytes[1], bytes[2], bytes[3]]);
            }
            _ => self.long(&bytes),
        }
    }

    /// A number beyond 32 bits: its shortest two's complement behind its length.
    fn long(&mut self, bytes: &[u8; 8]) {
        let negative = bytes[7] & 0x80;
        let sign = if negative == 0 { 0 } else { 0xff };
        let mut used = 8;
        while used > 1 && bytes[used - 1] == sign && bytes[used - 2] & 0x80 == negative {
            used -= 1;
        }
        self.write(&[0x8a, bytes.len().min(used).to_le_bytes()[0]]);
        self.write(bytes.get(..used).unwrap_or(bytes));
    }

    fn memoize(&mut self) {
        self.write(&[0x94]);
        self.memoized += 1;
    }

    /// A value begins here: where frames may end.
    fn value(&mut self) {
        let length = self.frame_length();
        if length.is_some_and(|length| length >= FRAME_TARGET) {
            self.close_frame();
        }
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.open_frame();
        self.out.extend(bytes);
    }

    #[inline]
    fn open_frame(&mut self) {
        if self.frame.is_none() {
            self.frame = Some(self.out.len());
            self.out.extend([0; FRAME_HEAD]);
        }
    }

    fn frame_length(&self) -> Option<usize> {
        self.frame.map(|start| self.out.len() - start - FRAME_HEAD)
    }

    fn close_frame(&mut self) {
        let (Some(length), Some(start)) = (self.frame_length(), self.frame.take()) else {
            return;
        };
        if length < FRAME_MIN {
            self.out.drain(start..start + FRAME_HEAD);
        } else if let Some([opcode, size @ ..]) = self.out.get_mut(start..start + FRAME_HEAD) {
            *opcode = 0x95;
            size.copy_from_slice(&(length as u64).to_le_bytes());
        }
    }
}
