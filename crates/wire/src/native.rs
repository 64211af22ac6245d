//! The store's own protocol: batches of keys, blocks by length and checksum, every frame checked.
//!
//! A frame is a header, a table and the blocks' bytes, one behind the other. All integers are
//! little-endian. The client names each request with a number and the reply carries it; a server
//! may answer in any order. The first frame of a connection is HELLO.
//!
//! ```text
//! header, 64 bytes
//!   0 magic     "OFB" and the version, 1      32 deadline_ms  how long the client waits; 0: no end
//!   4 op        see Op                        36 zero
//!   5 flags     LEASE, THROUGH_WINDOW         40 table_sum    xxh3-64 of the table
//!   6 status    see Status; 0 in a request    48 zero
//!   8 request   the client's number           56 header_sum   xxh3-64 of the 56 bytes before
//!  16 items     entries of the table
//!  20 table     bytes of the table
//!  24 payload   bytes of blocks behind it
//!
//! tables: key = u16 length, bytes
//!   HELLO     namespace (as key), token (as key)       reply: items_max u32, payload_max u64
//!   EXISTS TOUCH PIN UNPIN RELEASE DELETE   key ...     reply: verdict u8, size u64 ...
//!   GET       key, size u64 (0: any) ...               reply: verdict u8, size u64, sum u128 ...
//!   PUT       key, parent as key, size u64, sum u128,  reply: verdict u8, size u64 ...
//!             ttl_ms u32 (0: no end), only_new u8 ...
//!   WINDOW    bytes u64                                reply: address (as key), secret u128, bytes u64
//!   PIECE     in a PUT that ends a block: sum u128
//!   CREDIT    nothing
//! payload: the blocks of a PUT, or of a GET's hits, in the table's order
//! a reply whose status is not 0 has no items: its table is a sentence
//! ```
//!
//! # Through a window
//!
//! A client on the same machine may ask for a window (`onefill-window`): memory that both processes map,
//! for this connection alone. A GET or PUT with [`THROUGH_WINDOW`] says its payload's length as ever, but
//! the bytes go through the window, which is used as a ring from its start on, for each request anew:
//!
//! ```text
//! PUT  client: PUT, PIECE, PIECE, ...       store: CREDIT, CREDIT, ..., the reply to PUT
//! GET  client: GET, CREDIT, CREDIT, ...     store: the reply to GET, PIECE, PIECE, ...
//! ```
//!
//! PIECE and CREDIT carry the request's number and, as their payload's length, how many bytes they are
//! about. A piece is of one block, in the order of the table, and lies behind the one before without
//! crossing the window's end. Who sends never has more bytes in the window than it holds: what was taken
//! comes back as credit ([`flow`]). Of a PUT the last piece of a block has one item, the block's sum; a
//! block of no bytes has that one piece. Before the reply to a PUT the store need not give all credit back,
//! of a GET the client does. Whoever takes bytes takes a copy of them first and then the checksum of its copy.

pub mod flow;
mod frame;
mod table;

pub use frame::{
    HEADER_LEN, Header, ITEMS_MAX, LEASE, NativeError, Op, Status, TABLE_MAX, THROUGH_WINDOW,
    VERSION,
};
pub use table::{GetItem, GetReply, Hello, Offer, PutItem, Reader, Table, Verdict, Welcome};

#[cfg(test)]
mod tests;
