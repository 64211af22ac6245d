//! A cursor over `MessagePack` bytes: just what event batches need, nothing allocated.
//! Format: <https://github.com/msgpack/msgpack/blob/master/spec.md>.

use crate::DecodeError;

/// Deepest nesting that [`Cursor::skip`] follows; events nest four deep.
const DEPTH_MAX: u32 = 16;

/// Where reading stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A value, or the head of one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Value<'a> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    Negative(i64),
    Float(f64),
    /// Not checked to be UTF-8.
    Text(&'a [u8]),
    Bytes(&'a [u8]),
    /// So many values follow.
    Array(usize),
    /// So many pairs of values follow.
    Map(usize),
    Extension,
}

type Read<T> = Result<T, DecodeError>;

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn fail<T>(&self, reason: &'static str) -> Read<T> {
        Err(DecodeError {
            offset: self.at,
            reason,
        })
    }

    /// Bytes not read yet: no list can hold more elements than that.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    #[inline]
    fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let end = self.at.checked_add(count);
        match end.and_then(|end| self.bytes.get(self.at..end)) {
            Some(taken) => {
                self.at += count;
                Ok(taken)
            }
            None => self.fail("the payload ends here"),
        }
    }

    #[inline]
    fn number<const N: usize>(&mut self) -> Read<[u8; N]> {
        match self.take(N)?.first_chunk::<N>() {
            Some(bytes) => Ok(*bytes),
            None => self.fail("the payload ends here"),
        }
    }

    #[inline]
    fn length<const N: usize>(&mut self) -> Read<usize> {
        let bytes = self.number::<N>()?;
        Ok(bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    }

    fn text(&mut self, length: usize) -> Read<Value<'a>> {
        self.take(length).map(Value::Text)
    }

    /// `text`, which was read here, as UTF-8.
    pub(crate) fn utf8(&self, text: &'a [u8]) -> Read<&'a str> {
        match std::str::from_utf8(text) {
            Ok(text) => Ok(text),
            Err(_) => self.fail("text is not UTF-8"),
        }
    }

    /// The bytes from here to `end`.
    pub(crate) fn until(&self, end: &Self) -> &'a [u8] {
        self.bytes.get(self.at..end.at).unwrap_or_default()
    }

    /// Whether nil stands here.
    pub(crate) fn is_nil(&self) -> bool {
        self.bytes.get(self.at) == Some(&0xc0)
    }

    /// A text that is compared with known ones: a field's name, an event's type.
    #[inline]
    pub(crate) fn name(&mut self) -> Read<&'a [u8]> {
        if let Some(tag @ 0xa0..=0xbf) = self.bytes.get(self.at) {
            self.at += 1;
            return self.take(usize::from(tag & 0x1f));
        }
        let start = *self;
        match self.value()? {
            Value::Text(name) => Ok(name),
            _ => start.fail("expected text"),
        }
    }

    fn extension(&mut self, length: usize) -> Read<Value<'a>> {
        self.take(length + 1)?;
        Ok(Value::Extension)
    }

    /// Reads one value, or the head of a list or map.
    #[inline]
    pub(crate) fn value(&mut self) -> Read<Value<'a>> {
        let [tag] = self.number()?;
        Ok(match tag {
            0x00..=0x7f => Value::Unsigned(u64::from(tag)),
            0x80..=0x8f => Value::Map(usize::from(tag & 0x0f)),
            0x90..=0x9f => Value::Array(usize::from(tag & 0x0f)),
            0xa0..=0xbf => return self.text(usize::from(tag & 0x1f)),
            0xc0 => Value::Nil,
            0xc2 | 0xc3 => Value::Bool(tag == 0xc3),
            0xc4 => {
                let length = self.length::<1>()?;
                Value::Bytes(self.take(length)?)
            }
            0xc5 => {
                let length = self.length::<2>()?;
                Value::Bytes(self.take(length)?)
            }
            0xc6 => {
                let length = self.length::<4>()?;
                Value::Bytes(self.take(length)?)
            }
            0xcc => Value::Unsigned(u64::from(self.number::<1>()?[0])),
            0xcd => Value::Unsigned(u64::from(u16::from_be_bytes(self.number()?))),
            0xce => Value::Unsigned(u64::from(u32::from_be_bytes(self.number()?))),
            0xcf => Value::Unsigned(u64::from_be_bytes(self.number()?)),
            0xe0..=0xff | 0xd0..=0xd3 => return self.signed(tag),
            0xca => Value::Float(f64::from(f32::from_be_bytes(self.number()?))),
            0xcb => Value::Float(f64::from_be_bytes(self.number()?)),
            0xd9 => {
                let length = self.length::<1>()?;
                return self.text(length);
            }
            0xda => {
                let length = self.length::<2>()?;
                return self.text(length);
            }
            0xdb => {
                let length = self.length::<4>()?;
                return self.text(length);
            }
            0xdc => Value::Array(self.length::<2>()?),
            0xdd => Value::Array(self.length::<4>()?),
            0xde => Value::Map(self.length::<2>()?),
            0xdf => Value::Map(self.length::<4>()?),
            0xd4..=0xd8 => return self.extension(1 << (tag - 0xd4)),
            0xc7 => {
                let length = self.length::<1>()?;
                return self.extension(length);
            }
            0xc8 => {
                let length = self.length::<2>()?;
                return self.extension(length);
            }
            0xc9 => {
                let length = self.length::<4>()?;
                return self.extension(length);
            }
            0xc1 => return self.fail("no value begins with c1"),
        })
    }

    fn signed(&mut self, tag: u8) -> Read<Value<'a>> {
        let number = match tag {
            0xd0 => i64::from(i8::from_be_bytes(self.number()?)),
            0xd1 => i64::from(i16::from_be_bytes(self.number()?)),
            0xd2 => i64::from(i32::from_be_bytes(self.number()?)),
            0xd3 => i64::from_be_bytes(self.number()?),
            _ => i64::from(tag.cast_signed()),
        };
        Ok(u64::try_from(number).map_or(Value::Negative(number), Value::Unsigned))
    }

    /// Reads past one value, whatever it holds.
    pub(crate) fn skip(&mut self) -> Read<()> {
        self.skip_nested(DEPTH_MAX)
    }

    fn skip_nested(&mut self, depth: u32) -> Read<()> {
        let count = match self.value()? {
            Value::Array(count) => count,
            Value::Map(pairs) => pairs.saturating_mul(2),
            _ => return Ok(()),
        };
        if depth == 0 {
            return self.fail("nested too deep");
        }
        for _ in 0..count {
            self.skip_nested(depth - 1)?;
        }
        Ok(())
    }

    /// Reads the head of a list that can't be longer than what is left.
    #[inline]
    pub(crate) fn array(&mut self) -> Read<usize> {
        match self.bytes.get(self.at) {
            Some(small @ 0x90..=0x9f) if usize::from(small & 0x0f) < self.left() => {
                self.at += 1;
                Ok(usize::from(small & 0x0f))
            }
            _ => self.wide_array(),
        }
    }

    fn wide_array(&mut self) -> Read<usize> {
        let start = *self;
        match self.value()? {
            Value::Array(count) if count <= self.left() => Ok(count),
            Value::Array(_) => start.fail("a list is longer than the payload"),
            _ => start.fail("expected a list"),
        }
    }

    /// Reads past exactly these bytes, if they stand here.
    #[inline]
    pub(crate) fn passes<const N: usize>(&mut self, bytes: &[u8; N]) -> bool {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let passes = rest.first_chunk::<N>() == Some(bytes);
        if passes {
            self.at += N;
        }
        passes
    }

    /// A number of eight bytes, if one stands here: what hashes mostly are.
    #[inline]
    pub(crate) fn u64_head(&mut self) -> Option<u64> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let [0xcf, number @ ..] = rest.first_chunk::<9>()? else {
            return None;
        };
        self.at += 9;
        Some(u64::from_be_bytes(*number))
    }

    pub(crate) fn optional_text(&mut self) -> Read<Option<&'a str>> {
        let start = *self;
        match self.optional_bytes()? {
            Some(text) => start.utf8(text).map(Some),
            None => Ok(None),
        }
    }

    /// A text or nil, not checked to be UTF-8: for words that are compared with known ones.
    #[inline]
    pub(crate) fn optional_bytes(&mut self) -> Read<Option<&'a [u8]>> {
        if self.passes(&[0xc0]) {
            return Ok(None);
        }
        self.name().map(Some)
    }

    #[inline]
    pub(crate) fn optional_u32(&mut self) -> Read<Option<u32>> {
        match self.bytes.get(self.at) {
            Some(small @ 0x00..=0x7f) => {
                self.at += 1;
                Ok(Some(u32::from(*small)))
            }
            Some(0xc0) => {
                self.at += 1;
                Ok(None)
            }
            _ => self.wide_u32().map(Some),
        }
    }

    fn wide_u32(&mut self) -> Read<u32> {
        let start = *self;
        match self.value()? {
            Value::Unsigned(number) => match u32::try_from(number) {
                Ok(number) => Ok(number),
                Err(_) => start.fail("number beyond 32 bits"),
            },
            _ => start.fail("expected a number or nil"),
        }
    }

    pub(crate) fn float(&mut self) -> Read<f64> {
        let start = *self;
        match self.value()? {
            Value::Float(number) => Ok(number),
            #[expect(clippy::cast_precision_loss, reason = "a time in seconds")]
            Value::Unsigned(number) => Ok(number as f64),
            _ => start.fail("expected a number"),
        }
    }

    /// A list of token ids. The tight loop of the decoder: most of a batch is tokens.
    pub(crate) fn tokens(&mut self, tokens: &mut Vec<u32>) -> Read<()> {
        let count = self.array()?;
        tokens.clear();
        tokens.resize(count, 0);
        let mut rest = self.bytes.get(self.at..).unwrap_or_default();
        for token in tokens {
            (*token, rest) = match *rest {
                [0xcd, a, b, ref rest @ ..] => (u32::from_be_bytes([0, 0, a, b]), rest),
                [small @ 0x00..=0x7f, ref rest @ ..] => (u32::from(small), rest),
                [0xce, a, b, c, d, ref rest @ ..] => (u32::from_be_bytes([a, b, c, d]), rest),
                [0xcc, a, ref rest @ ..] => (u32::from(a), rest),
                _ => {
                    self.at = self.bytes.len() - rest.len();
                    return self.fail("expected a token id");
                }
            };
        }
        self.at = self.bytes.len() - rest.len();
        Ok(())
    }
}

impl Value<'_> {
    /// A whole number within 64 bits.
    pub(crate) fn signed(self) -> Option<i64> {
        match self {
            Value::Unsigned(number) => i64::try_from(number).ok(),
            Value::Negative(number) => Some(number),
            _ => None,
        }
    }
}
