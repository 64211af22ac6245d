//! What `LMCache`'s native RESP client (`resp://`, and the `resp` adapter of its multi-process
//! server) reads, which is less than RESP ([connector.cpp]).
//!
//! It reads replies by count, not by what they say:
//!
//! ```text
//! GET     as many bytes as `$<size of its buffer>\r\n` has, then the value and \r\n
//! SET     5 bytes, +OK\r\n        EXISTS, DEL   4 bytes, :0\r\n or :1\r\n
//! ```
//!
//! A miss of `$-1\r\n` is shorter than the header that it waits for: that worker waits for ever.
//! An error that is longer than what it reads leaves the rest in the stream for the next reply.
//! Both are cured by an error line of exactly the length that it reads.
//!
//! [connector.cpp]: https://github.com/LMCache/LMCache/blob/v0.5.6/csrc/storage_backends/redis/connector.cpp

/// A SET was refused: as long as `+OK\r\n`.
pub const SET_REFUSED: &[u8; 5] = b"-NO\r\n";

/// What the error says, as far as it fits.
const MISS_TEXT: &[u8] = b"MISS";

/// A missed GET of a value of `size` bytes: an error as long as `$<size>\r\n`.
pub fn miss(size: u64, out: &mut Vec<u8>) {
    let digits = size.checked_ilog10().unwrap_or(0) as usize + 1;
    out.push(b'-');
    let text = MISS_TEXT.iter().copied().chain(std::iter::repeat(b' '));
    out.extend(text.take(digits));
    out.extend_from_slice(b"\r\n");
}

/// Whether a key looks like one of that client's: `model@rank@group@hash[@salt]` or
/// `model@world@worker@hash@dtype`, without what the Python client of `redis://` appends.
#[must_use]
pub fn is_native_key(key: &[u8]) -> bool {
    let ats = key.iter().filter(|byte| **byte == b'@').count();
    ats >= 3 && !key.ends_with(METADATA) && !key.ends_with(KV_BYTES)
}

/// What the Python client appends to the key of a block's shape.
pub const METADATA: &[u8] = b"metadata";
/// What it appends to the key of its bytes.
pub const KV_BYTES: &[u8] = b"kv_bytes";

/// The key of the bytes that belong to the key of a shape.
#[must_use]
pub fn bytes_key(key: &[u8]) -> Option<Vec<u8>> {
    let base = key.strip_suffix(METADATA)?;
    // Some other client's own key may end so too: a block's key has its parts.
    let is_block = base.iter().filter(|byte| **byte == b'@').count() >= 3;
    is_block.then(|| [base, KV_BYTES].concat())
}
