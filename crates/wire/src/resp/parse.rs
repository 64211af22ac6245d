//! Commands out of a stream of bytes. Short arguments are copied, so that the buffer they came in
//! can be filled again; a long one is announced, so that it can be read where it shall lie.

/// Arguments up to this long are copied by the parser; longer ones are [`Event::Long`].
pub const SHORT_ARG_MAX: usize = 16 << 10;
/// Arguments of one command.
pub const ARGS_MAX: usize = 1 << 16;
/// Bytes of one command's short arguments together.
pub const ARGS_BYTES_MAX: usize = 4 << 20;
/// `*65536\r\n`, `$34359738368\r\n`: a line longer than this is no header.
const HEADER_MAX: usize = 32;
/// A command in words on a line.
const LINE_MAX: usize = 1 << 10;

/// Why bytes are no command. Nothing behind them can be understood: the connection must end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RespError {
    /// Something else where a number and the end of a line belong.
    #[error("invalid multibulk length")]
    Count,
    /// As above, of an argument.
    #[error("invalid bulk length")]
    Length,
    /// An argument must begin here.
    #[error("expected '$', got '{}'", char::from(*.0))]
    Dollar(u8),
    /// An argument must end here.
    #[error("expected the end of an argument")]
    End,
    /// More than [`ARGS_MAX`] or [`ARGS_BYTES_MAX`].
    #[error("too big a command")]
    TooBig,
    /// A command in words that never ends.
    #[error("too big inline request")]
    Line,
}

/// A command's arguments, the name first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Args {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Args {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// One of them; empty where it is long or not there.
    #[must_use]
    pub fn get(&self, index: usize) -> &[u8] {
        let start = index
            .checked_sub(1)
            .and_then(|before| self.ends.get(before));
        let start = start.copied().unwrap_or(0);
        match self.ends.get(index) {
            Some(end) => &self.bytes[start..*end],
            None => &[],
        }
    }

    /// Those from `index` on.
    pub fn from(&self, index: usize) -> impl Iterator<Item = &[u8]> {
        (index..self.len()).map(|index| self.get(index))
    }

    /// One more.
    pub fn push(&mut self, arg: &[u8]) {
        self.bytes.extend_from_slice(arg);
        self.ends.push(self.bytes.len());
    }

    fn clear(&mut self) {
        self.ends.clear();
        self.bytes.clear();
        // One giant MGET must not hold its memory for the connection's life.
        self.bytes.shrink_to(SHORT_ARG_MAX * 2);
        self.ends.shrink_to(SHORT_ARG_MAX);
    }
}

/// What the bytes came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// More bytes are needed.
    More,
    /// All arguments are there: call [`Parser::clear`] once the command is done.
    Command,
    /// This many bytes and `\r\n` follow, an argument that is not short. The caller takes them
    /// and then calls [`Parser::long_taken`].
    Long(u64),
}

/// Reads one command after the other.
#[derive(Debug, Default)]
pub struct Parser {
    args: Args,
    /// Arguments that are still to come; `None` between commands.
    left: Option<usize>,
}

impl Parser {
    /// The arguments so far.
    #[must_use]
    pub fn args(&self) -> &Args {
        &self.args
    }

    /// The command is done: the next one begins.
    pub fn clear(&mut self) {
        self.args.clear();
        self.left = None;
    }

    /// The long argument was taken; it is an empty one in [`Args`].
    pub fn long_taken(&mut self) {
        self.args.push(&[]);
        self.left = self.left.map(|left| left - 1);
    }

    /// Reads on in `bytes`; says how many of them it took, and what they came to.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(usize, Event), RespError> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            match self.left {
                Some(0) => return Ok((used, Event::Command)),
                Some(left) => match argument(rest)? {
                    Found::More => return Ok((used, Event::More)),
                    Found::Long(header, len) => return Ok((used + header, Event::Long(len))),
                    Found::Short(header, len) => {
                        if self.args.bytes.len() + len > ARGS_BYTES_MAX {
                            return Err(RespError::TooBig);
                        }
                        self.args.push(&rest[header..header + len]);
                        self.left = Some(left - 1);
                        used += header + len + 2;
                    }
                },
                None => match self.begin(rest)? {
                    0 => return Ok((used, Event::More)),
                    taken => used += taken,
                },
            }
        }
    }

    /// Reads a command's first line; 0 where it is not there yet.
    fn begin(&mut self, bytes: &[u8]) -> Result<usize, RespError> {
        match bytes.first() {
            None => Ok(0),
            Some(b'*') => {
                let Some((count, used)) = number(bytes, RespError::Count)? else {
                    return Ok(0);
                };
                match usize::try_from(count) {
                    // `*0` and `*-1` are commands of nothing, as in Redis.
                    Ok(0) | Err(_) => {}
                    Ok(count) if count <= ARGS_MAX => self.left = Some(count),
                    Ok(_) => return Err(RespError::TooBig),
                }
                Ok(used)
            }
            Some(_) => self.words(bytes),
        }
    }

    /// Reads a command in words on a line.
    fn words(&mut self, bytes: &[u8]) -> Result<usize, RespError> {
        let window = &bytes[..bytes.len().min(LINE_MAX)];
        let Some(end) = window.iter().position(|byte| *byte == b'\n') else {
            return if bytes.len() >= LINE_MAX {
                Err(RespError::Line)
            } else {
                Ok(0)
            };
        };
        let words = bytes[..end].split(u8::is_ascii_whitespace);
        for word in words.filter(|word| !word.is_empty()) {
            self.args.push(word);
        }
        if !self.args.is_empty() {
            self.left = Some(0);
        }
        Ok(end + 1)
    }
}

enum Found {
    More,
    /// Bytes of the header, bytes of the argument.
    Short(usize, usize),
    Long(usize, u64),
}

fn argument(bytes: &[u8]) -> Result<Found, RespError> {
    match bytes.first() {
        None => return Ok(Found::More),
        Some(b'$') => {}
        Some(other) => return Err(RespError::Dollar(*other)),
    }
    let Some((len, header)) = number(bytes, RespError::Length)? else {
        return Ok(Found::More);
    };
    let len = u64::try_from(len).map_err(|_| RespError::Length)?;
    let short = usize::try_from(len)
        .ok()
        .filter(|len| *len <= SHORT_ARG_MAX);
    let Some(len) = short else {
        return Ok(Found::Long(header, len));
    };
    match bytes.get(header + len..header + len + 2) {
        None => Ok(Found::More),
        Some(b"\r\n") => Ok(Found::Short(header, len)),
        Some(_) => Err(RespError::End),
    }
}

/// The number behind a header's first byte, and the header's bytes.
fn number(bytes: &[u8], fault: RespError) -> Result<Option<(i64, usize)>, RespError> {
    let window = &bytes[..bytes.len().min(HEADER_MAX)];
    let Some(end) = window.iter().position(|byte| *byte == b'\r') else {
        return if bytes.len() >= HEADER_MAX {
            Err(fault)
        } else {
            Ok(None)
        };
    };
    match bytes.get(end + 1) {
        None => return Ok(None),
        Some(b'\n') => {}
        Some(_) => return Err(fault),
    }
    let text = std::str::from_utf8(&bytes[1..end]).map_err(|_| fault)?;
    let number = text.parse().map_err(|_| fault)?;
    Ok(Some((number, end + 2)))
}
