//! Keys as they are kept. Engines name a block by a hash in hexadecimal digits, within a form that
//! all blocks of one model and rank have: `MODEL@WORLD@RANK@HASH@TYPE`. A form is kept once, two of
//! the digits take a byte, and what is left lies where the key's owner lies.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::{hash::BuildHasher as _, ops::Range};

/// Bytes that lie in the key itself.
const SHORT_MAX: usize = 38;
/// Bytes that say which form a key has.
const FORM: usize = 2;
/// The form of keys that are kept as they came.
const PLAIN: u16 = 0;
/// Runs of fewer digits are left as they are.
const DIGITS_MIN: usize = 16;
/// Forms that are kept, and the bytes of one. Keys of others are kept as they came.
const FORMS_MAX: usize = 1024;
const FORM_BYTES_MAX: usize = 256;

/// A key, to be understood by the [`Keys`] that it was kept by.
#[derive(Debug)]
pub(crate) struct Key(Kept);

#[derive(Debug)]
enum Kept {
    Short(u8, [u8; SHORT_MAX]),
    Long(Box<[u8]>),
}

impl Key {
    fn new(form: u16, rest: impl ExactSizeIterator<Item = u8>) -> Self {
        let len = FORM + rest.len();
        let all = form.to_le_bytes().into_iter().chain(rest);
        if len > SHORT_MAX {
            return Self(Kept::Long(all.collect()));
        }
        let mut short = [0; SHORT_MAX];
        for (into, byte) in short.iter_mut().zip(all) {
            *into = byte;
        }
        Self(Kept::Short(len as u8, short))
    }

    fn parts(&self) -> (u16, &[u8]) {
        let all = match &self.0 {
            Kept::Short(len, bytes) => &bytes[..usize::from(*len)],
            Kept::Long(bytes) => bytes,
        };
        let (form, rest) = all.split_at(FORM);
        (u16::from_le_bytes([form[0], form[1]]), rest)
    }

    /// Bytes that it takes beside its own.
    pub(crate) fn heap_bytes(&self) -> usize {
        match &self.0 {
            Kept::Short(..) => 0,
            Kept::Long(bytes) => bytes.len(),
        }
    }
}

/// What is before and behind the digits.
#[derive(Debug, Default)]
struct Form {
    head: Box<[u8]>,
    tail: Box<[u8]>,
    /// Whether their number is odd: the first byte then has one.
    odd: bool,
    /// Keys that have it.
    keys: usize,
}

impl Form {
    fn is(&self, key: &[u8], digits: &Range<usize>) -> bool {
        self.odd == (digits.len() % 2 == 1)
            && *self.head == key[..digits.start]
            && *self.tail == key[digits.end..]
    }

    fn hash(hasher: &DefaultHashBuilder, key: &[u8], digits: &Range<usize>) -> u64 {
        hasher.hash_one((&key[..digits.start], &key[digits.end..]))
    }
}

/// The forms of all keys of one owner.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    forms: Vec<Form>,
    free: Vec<u16>,
    by_text: HashTable<u16>,
    hasher: DefaultHashBuilder,
}

impl Keys {
    /// A key as it is kept, until [`Self::let_go`].
    pub(crate) fn keep(&mut self, key: &[u8]) -> Key {
        let digits = longest_digits(key);
        let is_worth_it = FORM + key.len() > SHORT_MAX
            && digits.len() >= DIGITS_MIN
            && key.len() - digits.len() <= FORM_BYTES_MAX;
        let form = is_worth_it.then(|| self.form(key, &digits)).flatten();
        let Some(form) = form else {
            return Key::new(PLAIN, key.iter().copied());
        };
        let odd = digits.len() % 2;
        let at = digits.start;
        let pairs = (0..digits.len().div_ceil(2)).map(|pair| {
            let low = value(key[at + 2 * pair + 1 - odd]);
            let high = (2 * pair).checked_sub(odd);
            high.map_or(0, |high| value(key[at + high])) << 4 | low
        });
        Key::new(form, pairs)
    }

    /// Whether a kept key is this one.
    pub(crate) fn is(&self, kept: &Key, key: &[u8]) -> bool {
        let (form, rest) = kept.parts();
        let Some(form) = self.get(form) else {
            return rest == key;
        };
        let ends = form.head.len() + form.tail.len();
        let digits = 2 * rest.len() - usize::from(form.odd);
        if key.len() != ends + digits {
            return false;
        }
        let digits = form.head.len()..form.head.len() + digits;
        form.is(key, &digits) && key[digits].iter().copied().eq(form.digits(rest))
    }

    /// A key as it came.
    pub(crate) fn name(&self, kept: &Key) -> Box<[u8]> {
        let (form, rest) = kept.parts();
        match self.get(form) {
            None => rest.into(),
            Some(form) => {
                let head = form.head.iter().copied();
                let tail = form.tail.iter().copied();
                head.chain(form.digits(rest)).chain(tail).collect()
            }
        }
    }

    /// A key is kept no more.
    pub(crate) fn let_go(&mut self, kept: &Key) {
        let (number, _) = kept.parts();
        let index = usize::from(number).wrapping_sub(1);
        let Some(form) = self.forms.get_mut(index) else {
            return;
        };
        form.keys -= 1;
        if form.keys == 0 {
            let form = std::mem::take(form);
            let hash = self.hasher.hash_one((&*form.head, &*form.tail));
            if let Ok(entry) = self.by_text.find_entry(hash, |other| *other == number) {
                entry.remove();
            }
            self.free.push(number);
        }
    }

    /// Forms are counted from 1.
    fn get(&self, form: u16) -> Option<&Form> {
        self.forms.get(usize::from(form).wrapping_sub(1))
    }

    fn form(&mut self, key: &[u8], digits: &Range<usize>) -> Option<u16> {
        let hash = Form::hash(&self.hasher, key, digits);
        let forms = &self.forms;
        let same = |number: &u16| forms[usize::from(*number) - 1].is(key, digits);
        let known = self.by_text.find(hash, same).copied();
        if let Some(number) = known {
            self.forms[usize::from(number) - 1].keys += 1;
            return Some(number);
        }
        let number = match self.free.pop() {
            Some(number) => number,
            None if self.forms.len() < FORMS_MAX => {
                self.forms.push(Form::default());
                self.forms.len() as u16
            }
            None => return None,
        };
        self.forms[usize::from(number) - 1] = Form {
            head: key[..digits.start].into(),
            tail: key[digits.end..].into(),
            odd: digits.len() % 2 == 1,
            keys: 1,
        };
        let (forms, hasher) = (&self.forms, &self.hasher);
        let rehash = |number: &u16| {
            let form = &forms[usize::from(*number) - 1];
            hasher.hash_one((&*form.head, &*form.tail))
        };
        self.by_text.insert_unique(hash, number, rehash);
        Some(number)
    }
}

impl Form {
    fn digits(&self, pairs: &[u8]) -> impl Iterator<Item = u8> {
        let digits = pairs.iter().flat_map(|pair| [pair >> 4, pair & 15]);
        let digits = digits.skip(usize::from(self.odd));
        digits.map(|value| b"0123456789abcdef"[usize::from(value)])
    }
}

fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => digit - b'a' + 10,
    }
}

/// Where a key's longest run of digits is; of several the last.
fn longest_digits(key: &[u8]) -> Range<usize> {
    let (mut longest, mut at) = (0..0, 0);
    while at < key.len() {
        let run = key[at..].iter().take_while(|byte| is_digit(**byte)).count();
        if run >= longest.len() {
            longest = at..at + run;
        }
        at += run + 1;
    }
    longest
}

#[cfg(test)]
mod tests;
