//! What a start finds.

use super::{
    device::{Device, SegmentFile},
    format::{ALIGN, FormatError, Record, padded, parse_segment},
    index::{Index, Place},
};
use crate::namespace::Namespaces;
use std::{io, sync::Arc};

/// Longest header: the fixed part, a namespace's and a key's longest names.
const HEADER_MAX: usize = 16 << 10;
/// Bytes that are read for a header: more would make the system read ahead into the block behind it.
const WINDOW: usize = ALIGN;

/// What was found, for the writer to go on behind.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) next_segment: u64,
    pub(super) next_serial: u64,
    /// Headers that were not whole.
    pub(super) broken: u64,
    /// Records of keys that have a later one: the store ended before it could mark them as dead.
    pub(super) stale: Vec<Place>,
}

/// Fills the index from all segments. One that is none, or can't be read, is left alone and
/// counted.
pub(super) fn recover(
    device: &dyn Device,
    index: &mut Index,
    namespaces: &Namespaces,
) -> io::Result<Found> {
    let mut found = Found::default();
    let mut ids = device.list()?;
    ids.sort_unstable();
    for id in ids {
        found.next_segment = found.next_segment.max(id + 1);
        let scanned = device.open(id).and_then(|file| {
            let bytes = file.size()?;
            let mut secret = [0; ALIGN];
            file.read_at(0, &mut secret)?;
            let Ok(secret) = parse_segment(&secret, id) else {
                found.broken += 1;
                if bytes <= ALIGN as u64 {
                    return device.remove(id); // the store ended before there was anything in it
                }
                let what =
                    "a segment of another version, or a broken one, is left alone: take it away";
                tracing::warn!(segment = id, bytes, "{what}");
                return Ok(());
            };
            // The store may have ended before it was full.
            _ = file.trim();
            index.add_segment(id, (Arc::clone(&file), secret), bytes);
            scan(&*file, (id, secret), &mut found.broken, |record| {
                found.next_serial = found.next_serial.max(record.serial + 1);
                let name = std::str::from_utf8(&record.namespace).ok();
                let namespace = name.and_then(|name| namespaces.open(name, None));
                let Some(namespace) = namespace else {
                    return;
                };
                if !record.dead {
                    let mut place = Place::of(&record);
                    place.attributes = namespace.share(place.attributes);
                    let stale = index.insert(namespace.id, &record.key, &place);
                    found.stale.extend(stale);
                }
            })
        });
        if let Err(error) = scanned {
            tracing::warn!(segment = id, %error, "a segment can't be read");
            found.broken += 1;
        }
    }
    Ok(found)
}

/// Gives every record of a segment, in order. Behind bytes that are none it looks for the next one.
fn scan(
    file: &dyn SegmentFile,
    (id, secret): (u64, u64),
    broken: &mut u64,
    mut give: impl FnMut(Record),
) -> io::Result<()> {
    let len = file.size()?;
    let mut at = padded(ALIGN as u64);
    let mut window = vec![0; WINDOW];
    let mut in_step = true;
    while at < len {
        let count = file.read_at(at, &mut window)?;
        let mut parsed = Record::parse(&window[..count], secret, (id, at));
        if let Err(FormatError::Longer(longer)) = parsed
            && longer <= HEADER_MAX
            && longer > count
        {
            let mut whole = vec![0; longer];
            let count = file.read_at(at, &mut whole)?;
            parsed = Record::parse(&whole[..count], secret, (id, at));
        }
        match parsed {
            Ok(record) if at.saturating_add(record.disk_len()) <= padded(len) => {
                at += record.disk_len();
                in_step = true;
                give(record);
            }
            _ => {
                *broken += u64::from(in_step);
                in_step = false;
                at += ALIGN as u64;
            }
        }
    }
    Ok(())
}
