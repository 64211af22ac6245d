//! Headers.

use twox_hash::XxHash3_64;

/// Bytes of a header.
pub const HEADER_LEN: usize = 64;
/// Version of the protocol.
pub const VERSION: u8 = 1;
/// Largest table.
pub const TABLE_MAX: usize = 4 << 20;
/// Most entries of a table.
pub const ITEMS_MAX: usize = 4096;
/// Flag of EXISTS: what is there stays readable until it is got, or for the server's lease.
pub const LEASE: u8 = 1;
/// Flag of GET and PUT: the blocks' bytes go through the connection's window.
pub const THROUGH_WINDOW: u8 = 2;

const MAGIC: [u8; 4] = [b'O', b'F', b'B', VERSION];
const SUM_AT: usize = 56;

/// What a frame asks for or answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Op {
    /// Who comes, and to which namespace.
    Hello = 1,
    /// Whether blocks are there.
    Exists = 2,
    /// Their bytes.
    Get = 3,
    /// Blocks to keep.
    Put = 4,
    /// They are used: they go later.
    Touch = 5,
    /// They stay until UNPIN.
    Pin = 6,
    /// They may go again.
    Unpin = 7,
    /// What EXISTS promised is not wanted any more.
    Release = 8,
    /// They shall go.
    Delete = 9,
    /// A window, for a client on the same machine.
    Window = 10,
    /// Bytes of a block lie in the window.
    Piece = 11,
    /// Bytes were taken from the window: there is room for others.
    Credit = 12,
}

impl Op {
    const ALL: [Self; 12] = [
        Self::Hello,
        Self::Exists,
        Self::Get,
        Self::Put,
        Self::Touch,
        Self::Pin,
        Self::Unpin,
        Self::Release,
        Self::Delete,
        Self::Window,
        Self::Piece,
        Self::Credit,
    ];
}

/// Whether a request was obeyed as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Status {
    /// It was; each item has its own verdict.
    Ok = 0,
    /// HELLO must come first.
    NoHello = 1,
    /// The token is nobody's.
    Denied = 2,
    /// More items or bytes than the server takes.
    TooBig = 3,
    /// The table is none.
    Malformed = 4,
    /// The client's deadline came first.
    Late = 5,
    /// There is no window, or the bytes are not within.
    NoWindow = 6,
}

impl Status {
    const ALL: [Self; 7] = [
        Self::Ok,
        Self::NoHello,
        Self::Denied,
        Self::TooBig,
        Self::Malformed,
        Self::Late,
        Self::NoWindow,
    ];
}

/// Why bytes are no frame. Nothing behind them can be understood: the connection must end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NativeError {
    /// Something else, or another version.
    #[error("not the native protocol, version {VERSION}")]
    Magic,
    /// The header's bytes are not those that were sent.
    #[error("the header's checksum is wrong")]
    HeaderSum,
    /// The table's bytes are not those that were sent.
    #[error("the table's checksum is wrong")]
    TableSum,
    /// An op or status that this version does not have.
    #[error("unknown op or status {0}")]
    Unknown(u16),
    /// More than [`TABLE_MAX`] or [`ITEMS_MAX`].
    #[error("the table is too big")]
    TooBig,
    /// The table ends early, or goes on behind its items.
    #[error("the table does not hold what its header says")]
    Table,
    /// Bytes are said to lie in a window where they can't.
    #[error("the bytes are not within the window, or not within the block")]
    Window,
}

/// A frame's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// What it is.
    pub op: Op,
    /// [`LEASE`], [`THROUGH_WINDOW`].
    pub flags: u8,
    /// In replies.
    pub status: Status,
    /// The client's number for the request.
    pub request: u64,
    /// Entries of the table.
    pub items: u32,
    /// Bytes of the table.
    pub table: u32,
    /// Bytes of blocks: behind it, or in the window.
    pub payload: u64,
    /// How long the client waits; 0: without end.
    pub deadline_ms: u32,
    /// xxh3-64 of the table.
    pub table_sum: u64,
}

impl Header {
    /// The header of a frame with this table.
    #[must_use]
    pub fn new(op: Op, request: u64, items: usize, table: &[u8]) -> Self {
        Self {
            op,
            flags: 0,
            status: Status::Ok,
            request,
            // Both are bounded far below; a frame that breaks the bound is refused at the other end.
            items: u32::try_from(items).unwrap_or(u32::MAX),
            table: u32::try_from(table.len()).unwrap_or(u32::MAX),
            payload: 0,
            deadline_ms: 0,
            table_sum: XxHash3_64::oneshot(table),
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = self.op as u8;
        bytes[5] = self.flags;
        bytes[6..8].copy_from_slice(&(self.status as u16).to_le_bytes());
        bytes[8..16].copy_from_slice(&self.request.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.items.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.table.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.payload.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.deadline_ms.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.table_sum.to_le_bytes());
        let sum = XxHash3_64::oneshot(&bytes[..SUM_AT]);
        bytes[SUM_AT..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads a header.
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, NativeError> {
        if bytes[..4] != MAGIC {
            return Err(NativeError::Magic);
        }
        if long(bytes, SUM_AT) != XxHash3_64::oneshot(&bytes[..SUM_AT]) {
            return Err(NativeError::HeaderSum);
        }
        let op = Op::ALL.into_iter().find(|op| *op as u8 == bytes[4]);
        let number = u16::from_le_bytes([bytes[6], bytes[7]]);
        let status = Status::ALL
            .into_iter()
            .find(|status| *status as u16 == number);
        let header = Self {
            op: op.ok_or(NativeError::Unknown(u16::from(bytes[4])))?,
            flags: bytes[5],
            status: status.ok_or(NativeError::Unknown(number))?,
            request: long(bytes, 8),
            items: int(bytes, 16),
            table: int(bytes, 20),
            payload: long(bytes, 24),
            deadline_ms: int(bytes, 32),
            table_sum: long(bytes, 40),
        };
        if header.table as usize > TABLE_MAX || header.items as usize > ITEMS_MAX {
            return Err(NativeError::TooBig);
        }
        Ok(header)
    }

    /// Whether these are the table's bytes.
    pub fn check(&self, table: &[u8]) -> Result<(), NativeError> {
        if XxHash3_64::oneshot(table) == self.table_sum {
            Ok(())
        } else {
            Err(NativeError::TableSum)
        }
    }
}

fn int(bytes: &[u8], at: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(four)
}

fn long(bytes: &[u8], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(eight)
}
