//! Writes `MessagePack` as msgspec does: each number and length in its shortest form.
//! Format: <https://github.com/msgpack/msgpack/blob/master/spec.md>.

/// Appends values to bytes.
#[derive(Debug)]
pub(crate) struct Pack<'a> {
    pub(crate) bytes: &'a mut Vec<u8>,
}

/// Tags of the wider heads of one kind of value, for lengths of one, two and four bytes.
type Wide = [Option<u8>; 3];

impl Pack<'_> {
    pub(crate) fn nil(&mut self) {
        self.bytes.push(0xc0);
    }

    pub(crate) fn float(&mut self, number: f64) {
        self.bytes.push(0xcb);
        self.bytes.extend(number.to_be_bytes());
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.head(text.len(), 0xa0, 32, [Some(0xd9), Some(0xda), Some(0xdb)]);
        self.bytes.extend(text.as_bytes());
    }

    pub(crate) fn binary(&mut self, bytes: &[u8]) {
        self.head(bytes.len(), 0, 0, [Some(0xc4), Some(0xc5), Some(0xc6)]);
        self.bytes.extend(bytes);
    }

    pub(crate) fn array(&mut self, count: usize) {
        self.head(count, 0x90, 16, [None, Some(0xdc), Some(0xdd)]);
    }

    /// A length below `small_end` stands in the tag `small`, others in the bytes after a wide tag.
    fn head(&mut self, length: usize, small: u8, small_end: usize, wide: Wide) {
        let [.., high, low] = length.to_be_bytes();
        match (wide, length) {
            (_, _) if length < small_end => self.bytes.push(small | low),
            ([Some(tag), ..], 0..=0xff) => self.bytes.extend([tag, low]),
            ([_, Some(tag), _], 0..=0xffff) => self.bytes.extend([tag, high, low]),
            _ => {
                // A longer value than 4 GiB is not in memory of any test or simulated engine.
                let length = u32::try_from(length).unwrap_or(u32::MAX);
                self.bytes.extend(wide[2]);
                self.bytes.extend(length.to_be_bytes());
            }
        }
    }

    pub(crate) fn unsigned(&mut self, number: u64) {
        let bytes = number.to_be_bytes();
        match number {
            0..0x80 => self.bytes.push(bytes[7]),
            0x80..0x100 => self.bytes.extend([0xcc, bytes[7]]),
            0x100..0x1_0000 => self.bytes.extend([0xcd, bytes[6], bytes[7]]),
            0x1_0000..0x1_0000_0000 => {
                self.bytes.push(0xce);
                self.bytes.extend(&bytes[4..]);
            }
            _ => {
                self.bytes.push(0xcf);
                self.bytes.extend(bytes);
            }
        }
    }

    pub(crate) fn signed(&mut self, number: i64) {
        if let Ok(number) = u64::try_from(number) {
            return self.unsigned(number);
        }
        let bytes = number.to_be_bytes();
        match number {
            -0x20.. => self.bytes.push(bytes[7]),
            -0x80.. => self.bytes.extend([0xd0, bytes[7]]),
            -0x8000.. => self.bytes.extend([0xd1, bytes[6], bytes[7]]),
            -0x8000_0000.. => {
                self.bytes.push(0xd2);
                self.bytes.extend(&bytes[4..]);
            }
            _ => {
                self.bytes.push(0xd3);
                self.bytes.extend(bytes);
            }
        }
    }
}
