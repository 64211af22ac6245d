//! `lm://`: the protocol between `LMCache`'s `LMCServerConnector` and `lmcache_server`, the same
//! bytes in 0.3.13 and 0.5.6 ([protocol.py]).
//!
//! All integers are `i32` in the client's byte order; little-endian is the only one met. One
//! connection, no handshake, answers strictly in order, **no answer to PUT**.
//!
//! ```text
//! request, 186 bytes                     reply, 36 bytes
//!   0 command  1 PUT 2 GET 3 EXIST         0 code    200 ok, 400 not there
//!              4 LIST 5 HEALTH             4 length  bytes that follow (GET)
//!   4 length   bytes that follow (PUT)     8 fmt
//!   8 fmt      MemoryFormat               12 dtype
//!  12 dtype                               16 shape   four of them
//!  16 location                            32 location
//!  20 shape    four of them
//!  36 key      150 bytes, padded with spaces
//! ```
//!
//! The client reads a reply's header with one `recv(36)`: a server writes it in one piece. `fmt`,
//! `dtype` and `shape` size the client's buffer and must come back as they were PUT.
//!
//! [protocol.py]: https://github.com/LMCache/LMCache/blob/v0.3.13/lmcache/v1/protocol.py

#[cfg(test)]
mod tests;

/// Bytes of a request's header.
pub const REQUEST_LEN: usize = 186;
/// Bytes of a reply's header.
pub const REPLY_LEN: usize = 36;
/// Longest key.
pub const KEY_LEN: usize = 150;

const KEY_AT: usize = 36;

/// What a client asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// Keep the bytes that follow. Has no answer.
    Put,
    /// Send the bytes.
    Get,
    /// Say whether they are there.
    Exist,
    /// Never sent by a client; `lmcache_server` does not answer it.
    List,
    /// Say that the server lives.
    Health,
}

/// How a block's bytes are to be read; opaque to the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Layout {
    /// `MemoryFormat` of `LMCache`.
    pub format: i32,
    /// Its number of the element type.
    pub dtype: i32,
    /// Four dimensions, zeros behind shorter ones.
    pub shape: [i32; 4],
    /// Which of the client's own back ends it came from.
    pub location: i32,
}

/// What a client sends where it knows no layout (GET, EXIST), and what a miss carries.
pub const NO_LAYOUT: Layout = Layout {
    format: 1,
    dtype: 2,
    shape: [0; 4],
    location: 0,
};

/// A request's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request<'k> {
    /// What is asked for.
    pub command: Command,
    /// Bytes that follow; 0 unless PUT.
    pub length: u32,
    /// Of those bytes.
    pub layout: Layout,
    /// Without the padding.
    pub key: &'k [u8],
}

/// A reply's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reply {
    /// Whether the block is there.
    pub found: bool,
    /// Bytes that follow.
    pub length: u32,
    /// Of those bytes.
    pub layout: Layout,
}

impl Reply {
    /// The block is not there.
    pub const MISS: Self = Self {
        found: false,
        length: 0,
        layout: NO_LAYOUT,
    };
}

/// Why bytes are no request. Nothing behind them can be understood: the connection must end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LmError {
    /// No such command.
    #[error("unknown command {0}")]
    Command(i32),
    /// A length below zero.
    #[error("length {0} is below zero")]
    Length(i32),
    /// A key of nothing but spaces.
    #[error("the key is empty")]
    EmptyKey,
    /// A reply with another code than 200 or 400.
    #[error("unknown code {0}")]
    Code(i32),
}

/// Reads a request's header.
pub fn parse(bytes: &[u8; REQUEST_LEN]) -> Result<Request<'_>, LmError> {
    let command = match int(bytes, 0) {
        1 => Command::Put,
        2 => Command::Get,
        3 => Command::Exist,
        4 => Command::List,
        5 => Command::Health,
        other => return Err(LmError::Command(other)),
    };
    let length = int(bytes, 4);
    let key = bytes[KEY_AT..].trim_ascii_end();
    if key.is_empty() && matches!(command, Command::Put | Command::Get | Command::Exist) {
        return Err(LmError::EmptyKey);
    }
    Ok(Request {
        command,
        length: u32::try_from(length).map_err(|_| LmError::Length(length))?,
        layout: Layout {
            format: int(bytes, 8),
            dtype: int(bytes, 12),
            location: int(bytes, 16),
            shape: [20, 24, 28, 32].map(|at| int(bytes, at)),
        },
        key,
    })
}

/// Writes a request's header; a key longer than [`KEY_LEN`] has none.
#[must_use]
pub fn encode(request: &Request<'_>) -> Option<[u8; REQUEST_LEN]> {
    let mut bytes = [b' '; REQUEST_LEN];
    let command = match request.command {
        Command::Put => 1,
        Command::Get => 2,
        Command::Exist => 3,
        Command::List => 4,
        Command::Health => 5,
    };
    let layout = &request.layout;
    let length = i32::try_from(request.length).ok()?;
    let head = [
        command,
        length,
        layout.format,
        layout.dtype,
        layout.location,
    ];
    put_ints(&mut bytes, head.into_iter().chain(layout.shape));
    bytes[KEY_AT..]
        .get_mut(..request.key.len())?
        .copy_from_slice(request.key);
    Some(bytes)
}

/// Writes a reply's header.
#[must_use]
pub fn encode_reply(reply: &Reply) -> [u8; REPLY_LEN] {
    let mut bytes = [0; REPLY_LEN];
    let layout = &reply.layout;
    let code = if reply.found { 200 } else { 400 };
    // A PUT's length came as an i32 that was not below zero.
    let head = [
        code,
        reply.length.cast_signed(),
        layout.format,
        layout.dtype,
    ];
    let ints = head.into_iter().chain(layout.shape);
    put_ints(&mut bytes, ints.chain([layout.location]));
    bytes
}

/// Reads a reply's header.
pub fn parse_reply(bytes: &[u8; REPLY_LEN]) -> Result<Reply, LmError> {
    let found = match int(bytes, 0) {
        200 => true,
        400 => false,
        other => return Err(LmError::Code(other)),
    };
    let length = int(bytes, 4);
    Ok(Reply {
        found,
        length: u32::try_from(length).map_err(|_| LmError::Length(length))?,
        layout: Layout {
            format: int(bytes, 8),
            dtype: int(bytes, 12),
            shape: [16, 20, 24, 28].map(|at| int(bytes, at)),
            location: int(bytes, 32),
        },
    })
}

fn int(bytes: &[u8], at: usize) -> i32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    i32::from_le_bytes(four)
}

fn put_ints(bytes: &mut [u8], ints: impl Iterator<Item = i32>) {
    for (four, int) in bytes.chunks_exact_mut(4).zip(ints) {
        four.copy_from_slice(&int.to_le_bytes());
    }
}
