//! Headers of segments and records, as bytes.

use crate::catalog::Attributes;
use onefill_wire::lm::Layout;
use std::sync::Arc;
use twox_hash::XxHash3_64;

/// Records and their bytes begin at multiples of this: what reads and writes past the system's cache want.
pub const ALIGN: usize = 4096;
const SEGMENT_MAGIC: [u8; 4] = *b"OFS1";
const RECORD_MAGIC: [u8; 4] = *b"OFR1";
const VERSION: u32 = 2;
const FIXED: usize = 112;
const SUM_AT: usize = 104;
const DEAD: u32 = 1;

/// Why bytes are no header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FormatError {
    /// Something else, another version, or not whole.
    #[error("no header")]
    None,
    /// More bytes are needed: so many in all.
    #[error("the header has {0} bytes")]
    Longer(usize),
}

/// What a record says of its block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// The segment that it was written to.
    pub segment: u64,
    /// And where in it.
    pub offset: u64,
    /// Later records of a key stand over earlier ones.
    pub serial: u64,
    /// Whether the key was put again or taken out since.
    pub dead: bool,
    /// Bytes of the block.
    pub len: u64,
    /// Their xxh3-128.
    pub sum: u128,
    /// When it ends, in milliseconds of Unix time; 0: never.
    pub expires_unix_ms: u64,
    /// What its door wants to be told again.
    pub attributes: Attributes,
    /// Name of the namespace.
    pub namespace: Vec<u8>,
    /// The key.
    pub key: Vec<u8>,
}

/// The next multiple of [`ALIGN`].
pub(super) fn padded(len: u64) -> u64 {
    len.next_multiple_of(ALIGN as u64)
}

/// A segment's first bytes.
pub(super) fn segment_header(id: u64, secret: u64) -> [u8; ALIGN] {
    let mut bytes = [0; ALIGN];
    bytes[..4].copy_from_slice(&SEGMENT_MAGIC);
    bytes[4..8].copy_from_slice(&VERSION.to_le_bytes());
    bytes[8..16].copy_from_slice(&id.to_le_bytes());
    bytes[16..24].copy_from_slice(&secret.to_le_bytes());
    let sum = XxHash3_64::oneshot(&bytes[..24]);
    bytes[24..32].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// A segment's secret.
pub(super) fn parse_segment(bytes: &[u8; ALIGN], id: u64) -> Result<u64, FormatError> {
    let is_whole = bytes[..4] == SEGMENT_MAGIC
        && int(bytes, 4) == VERSION
        && long(bytes, 8) == id
        && long(bytes, 24) == XxHash3_64::oneshot(&bytes[..24]);
    is_whole.then(|| long(bytes, 16)).ok_or(FormatError::None)
}

impl Record {
    /// Bytes of its header.
    #[must_use]
    pub fn text_len(&self) -> usize {
        FIXED + self.namespace.len() + self.key.len()
    }

    /// The same, padded.
    #[must_use]
    pub fn header_len(&self) -> u64 {
        padded(self.text_len() as u64)
    }

    /// Bytes that it takes in a segment.
    #[must_use]
    pub fn disk_len(&self) -> u64 {
        self.header_len() + padded(self.len)
    }

    /// Its header.
    #[must_use]
    pub fn encode(&self, secret: u64) -> Vec<u8> {
        let mut bytes = vec![0; FIXED];
        bytes[..4].copy_from_slice(&RECORD_MAGIC);
        bytes[4..8].copy_from_slice(&u32::from(self.dead).to_le_bytes());
        let longs = [self.segment, self.offset, self.serial, self.len];
        for (eight, long) in bytes[8..40].chunks_exact_mut(8).zip(longs) {
            eight.copy_from_slice(&long.to_le_bytes());
        }
        bytes[40..56].copy_from_slice(&self.sum.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.expires_unix_ms.to_le_bytes());
        // Keys and names are bounded far below 64 KiB at the doors.
        let lens = [&self.namespace, &self.key].map(|name| name.len() as u16);
        bytes[64..66].copy_from_slice(&lens[0].to_le_bytes());
        bytes[66..68].copy_from_slice(&lens[1].to_le_bytes());
        if let Attributes::Lm(layout) = &self.attributes {
            bytes[68] = 1;
            let [a, b, c, d] = layout.shape;
            let ints = [layout.format, layout.dtype, a, b, c, d, layout.location];
            for (four, int) in bytes[72..100].chunks_exact_mut(4).zip(ints) {
                four.copy_from_slice(&int.to_le_bytes());
            }
        }
        bytes.extend_from_slice(&self.namespace);
        bytes.extend_from_slice(&self.key);
        let sum = sum(&bytes, secret);
        bytes[SUM_AT..FIXED].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads a header that was written to that place.
    pub fn parse(
        bytes: &[u8],
        secret: u64,
        (segment, offset): (u64, u64),
    ) -> Result<Self, FormatError> {
        let fixed = bytes.get(..FIXED).ok_or(FormatError::Longer(FIXED))?;
        let in_place = long(fixed, 8) == segment && long(fixed, 16) == offset;
        if fixed[..4] != RECORD_MAGIC || !in_place {
            return Err(FormatError::None);
        }
        let [namespace, key] = [64, 66].map(|at| u16::from_le_bytes([fixed[at], fixed[at + 1]]));
        let end = FIXED + usize::from(namespace) + usize::from(key);
        let whole = bytes.get(..end).ok_or(FormatError::Longer(end))?;
        if long(whole, SUM_AT) != sum(whole, secret) {
            return Err(FormatError::None);
        }
        let names = &whole[FIXED..];
        let (namespace, key) = names.split_at(usize::from(namespace));
        let ints = [0, 1, 2, 3, 4, 5, 6].map(|index| int(whole, 72 + index * 4).cast_signed());
        let [format, dtype, a, b, c, d, location] = ints;
        let layout = Layout {
            format,
            dtype,
            shape: [a, b, c, d],
            location,
        };
        let mut sum = [0; 16];
        sum.copy_from_slice(&whole[40..56]);
        Ok(Self {
            segment,
            offset,
            serial: long(whole, 24),
            dead: int(whole, 4) == DEAD,
            len: long(whole, 32),
            sum: u128::from_le_bytes(sum),
            expires_unix_ms: long(whole, 56),
            attributes: match int(whole, 68) {
                0 => Attributes::None,
                _ => Attributes::Lm(Arc::new(layout)),
            },
            namespace: namespace.to_vec(),
            key: key.to_vec(),
        })
    }
}

/// The checksum of a header: of everything but its own place.
fn sum(bytes: &[u8], secret: u64) -> u64 {
    let mut hasher = twox_hash::XxHash3_64::with_seed(secret);
    std::hash::Hasher::write(&mut hasher, &bytes[..SUM_AT]);
    std::hash::Hasher::write(&mut hasher, &bytes[FIXED..]);
    std::hash::Hasher::finish(&hasher)
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
