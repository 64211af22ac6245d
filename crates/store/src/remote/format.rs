//! Objects' names and bytes.

use crate::{
    catalog::{Attributes, Stored},
    disk::{FormatError, Record, unix_ms},
};
use bytes::Bytes;
use std::{fmt::Write as _, sync::Arc};
use twox_hash::XxHash3_128;

/// Longest namespace that is written out in a name; of longer ones a part is, and their hash.
const NAME_MAX: usize = 200;
/// Bytes of a block that go to the engine as one piece.
const PIECE: usize = 1 << 20;

/// The folder of a namespace. Letters, digits and `-` stay as they are, other bytes are `_` and two
/// digits: no two namespaces share one.
pub(super) fn folder(namespace: &str) -> String {
    let mut folder = String::new();
    for byte in namespace.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            folder.push(byte.into());
        } else {
            // Writing to a String does not fail, here and below.
            _ = write!(folder, "_{byte:02x}");
        }
    }
    if folder.len() > NAME_MAX {
        folder.truncate(NAME_MAX);
        // No byte is written so: a long name is not another short one.
        _ = write!(
            folder,
            "__{:032x}",
            XxHash3_128::oneshot(namespace.as_bytes())
        );
    }
    folder
}

/// An object's name.
pub(super) fn name(prefix: &str, namespace: &str, key: &[u8]) -> String {
    let (folder, hash) = (in_folder(prefix, namespace), XxHash3_128::oneshot(key));
    format!("{folder}/{hash:032x}")
}

/// The folder of a namespace's objects.
pub(super) fn in_folder(prefix: &str, namespace: &str) -> String {
    let slash = if prefix.is_empty() { "" } else { "/" };
    let folder = folder(namespace);
    format!("{prefix}{slash}{folder}")
}

/// A block's bytes begin at a multiple of this.
const HEADER_ALIGN: usize = 512;

/// What an object says of its block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Bytes of the block.
    pub len: u64,
    /// Their xxh3-128.
    pub sum: u128,
    /// When it ends, in milliseconds of Unix time; 0: never.
    pub expires_unix_ms: u64,
    /// What its door wants to be told again.
    pub attributes: Attributes,
}

impl Found {
    pub(super) fn of(stored: &Stored, expires_unix_ms: u64) -> Self {
        Self {
            len: stored.block.len() as u64,
            sum: stored.block.checksum(),
            expires_unix_ms,
            attributes: stored.attributes.clone(),
        }
    }

    /// Whether its end has not come.
    pub(super) fn is_alive(&self) -> bool {
        self.expires_unix_ms == 0 || self.expires_unix_ms > unix_ms()
    }
}

fn record(namespace: &str, key: &[u8], found: &Found) -> Record {
    Record {
        segment: 0,
        offset: 0,
        serial: 0,
        dead: false,
        len: found.len,
        sum: found.sum,
        expires_unix_ms: found.expires_unix_ms,
        attributes: found.attributes.clone(),
        namespace: namespace.as_bytes().to_vec(),
        key: key.to_vec(),
    }
}

fn header(namespace: &str, key: &[u8], found: &Found) -> Vec<u8> {
    let mut header = record(namespace, key, found).encode(0);
    header.resize(header.len().next_multiple_of(HEADER_ALIGN), 0);
    header
}

/// Bytes of the header of a key's object.
pub(super) fn header_len(namespace: &str, key: &[u8]) -> usize {
    let nothing = Found {
        len: 0,
        sum: 0,
        expires_unix_ms: 0,
        attributes: Attributes::None,
    };
    let len = record(namespace, key, &nothing).text_len();
    len.next_multiple_of(HEADER_ALIGN)
}

/// What a header says, if it is that of this key.
pub(super) fn parse(header: &[u8], namespace: &str, key: &[u8]) -> Result<Found, FormatError> {
    let record = Record::parse(header, 0, (0, 0))?;
    let is_asked = record.namespace == namespace.as_bytes() && record.key == key && !record.dead;
    if !is_asked || !header.len().is_multiple_of(HEADER_ALIGN) {
        return Err(FormatError::None);
    }
    Ok(Found {
        len: record.len,
        sum: record.sum,
        expires_unix_ms: record.expires_unix_ms,
        attributes: record.attributes,
    })
}

/// A part of a block, where it lies.
struct Part(Arc<Stored>, usize);

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        self.0.block.part(self.1, PIECE)
    }
}

/// An object, without a copy of its block.
pub(super) fn object(
    namespace: &str,
    key: &[u8],
    stored: &Arc<Stored>,
    found: &Found,
) -> Vec<Bytes> {
    let mut pieces = vec![Bytes::from(header(namespace, key, found))];
    let mut at = 0;
    while at < stored.block.len() {
        let piece = Bytes::from_owner(Part(Arc::clone(stored), at));
        at += piece.len();
        pieces.push(piece);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_namespaces_share_a_folder() {
        let long = |tail: &str| format!("{}{tail}", "x".repeat(300));
        let names = [
            "a/b",
            "a_b",
            "a_2fb",
            "a#1",
            "a",
            "",
            ".",
            "..",
            "a b",
            "ä",
            &long("1"),
            &long("2"),
        ];
        let mut folders: Vec<String> = names.iter().map(|name| folder(name)).collect();
        for folder in &folders {
            assert!(
                !folder.contains(['/', '.']) && folder.len() < 300,
                "{folder}"
            );
        }
        folders.sort();
        folders.dedup();
        assert_eq!(folders.len(), names.len());
    }

    #[test]
    fn a_header_is_its_own_keys_only() {
        let found = Found {
            len: 7,
            sum: 11,
            expires_unix_ms: 5,
            attributes: Attributes::None,
        };
        let header = header("team/model", b"key", &found);
        assert_eq!(header.len(), header_len("team/model", b"key"));
        assert_eq!(parse(&header, "team/model", b"key"), Ok(found));
        assert!(parse(&header, "team/other", b"key").is_err());
        assert!(parse(&header, "team/model", b"kez").is_err());
        assert!(parse(&header[..100], "team/model", b"key").is_err());
        let mut flipped = header;
        flipped[33] ^= 1;
        assert!(parse(&flipped, "team/model", b"key").is_err());
    }
}
