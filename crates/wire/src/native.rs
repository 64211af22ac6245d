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
//!   5 flags     see LEASE                     40 table_sum    xxh3-64 of the table
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
//! payload: the blocks of a PUT, or of a GET's hits, in the table's order
//! a reply whose status is not 0 has no items: its table is a sentence
//! ```

mod frame;
mod table;

pub use frame::{
    HEADER_LEN, Header, ITEMS_MAX, LEASE, NativeError, Op, Status, TABLE_MAX, VERSION,
};
pub use table::{GetItem, GetReply, Hello, PutItem, Reader, Table, Verdict, Welcome};

#[cfg(test)]
mod tests;
