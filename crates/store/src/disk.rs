//! The disk tier: records in append-only segments.
//!
//! A record is written once; its bytes are never changed. Its header is once, when its key was put again
//! or taken out: then it is dead, and so a key's older bytes don't come back where the segment with its
//! newer ones was dropped. A segment that is full is sealed; when there is no
//! room for another one, the one that was read longest ago is dropped whole. What is where is known
//! from an index in memory, which a start builds again from the records' headers; their bytes are
//! checked when they are read. A header that is not whole is passed over: it was being written when
//! the store ended, or the disk lost it. Each header's checksum is seeded with a number of its
//! segment that no client knows, so that a block's bytes never pass for a record.
//!
//! ```text
//! segment   4096 bytes: "OFS1", version u32, id u64, secret u64, xxh3-64 of the 24 bytes before
//!           records, each at a multiple of 4096
//! record    header, padded to a multiple of 4096; bytes, padded too
//! header      0 "OFR1"            48 -        64 lengths u16: namespace, key
//!             4 flags u32         40 sum u128 68 attributes u32: 0 none, 1 lm
//!             8 segment u64       56 expires  72 seven i32: fmt, dtype, shape, location
//!            16 offset u64           unix ms 104 xxh3-64, seeded, of all else
//!            24 serial u64           u64     112 namespace, key
//!            32 bytes u64
//! flags     1: dead
//! ```

mod append;
mod device;
mod fetch;
mod file;
mod format;
mod index;
mod recover;
mod tier;

pub use append::{Appender, Bounds};
pub use device::{Device, Folder, SegmentFile};
pub use format::{ALIGN, FormatError, Record};
pub use index::{ENTRY_BYTES, Index, Place};
pub use tier::{DiskConfig, DiskError, DiskSizes, DiskStat, DiskTier};

pub(crate) use tier::unix_ms;

#[cfg(test)]
mod tests;
