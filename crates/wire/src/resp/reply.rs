//! Replies into a buffer.

/// Which RESP a client speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Protocol {
    /// Until HELLO 3.
    #[default]
    Resp2,
    /// After it.
    Resp3,
}

/// Writes replies behind one another.
#[derive(Debug)]
pub struct Writer<'o> {
    /// Where to.
    pub out: &'o mut Vec<u8>,
    /// How.
    pub protocol: Protocol,
}

impl Writer<'_> {
    /// `+text`.
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// `-text`; line ends in it become spaces.
    pub fn error(&mut self, text: &str) {
        let text: Vec<u8> = text
            .bytes()
            .map(|byte| {
                if matches!(byte, b'\r' | b'\n') {
                    b' '
                } else {
                    byte
                }
            })
            .collect();
        self.line(b'-', &text);
    }

    /// `:number`.
    pub fn integer(&mut self, number: i64) {
        self.line(b':', number.to_string().as_bytes());
    }

    /// A count, which fits.
    pub fn count(&mut self, count: usize) {
        self.integer(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Bytes.
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.bulk_header(bytes.len());
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    /// Only the header of bytes that follow, with `\r\n` behind them.
    pub fn bulk_header(&mut self, len: usize) {
        self.line(b'$', len.to_string().as_bytes());
    }

    /// Nothing there.
    pub fn null(&mut self) {
        self.out.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"$-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// That many items follow.
    pub fn array(&mut self, items: usize) {
        self.line(b'*', items.to_string().as_bytes());
    }

    /// That many pairs follow.
    pub fn map(&mut self, pairs: usize) {
        match self.protocol {
            Protocol::Resp2 => self.array(pairs * 2),
            Protocol::Resp3 => self.line(b'%', pairs.to_string().as_bytes()),
        }
    }

    fn line(&mut self, sign: u8, text: &[u8]) {
        self.out.push(sign);
        self.out.extend_from_slice(text);
        self.out.extend_from_slice(b"\r\n");
    }
}
