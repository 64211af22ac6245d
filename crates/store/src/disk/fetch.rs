//! Reading a block back.

use super::{device::SegmentFile, index::Place};
use crate::memory::{Block, Draft};
use std::io;
use twox_hash::XxHash3_128;

/// Bytes that one read takes: they are hashed while they are in the processor's cache.
const STEP: usize = 1 << 20;

/// Reads a block's bytes into its place in memory; `None` where they are not those that were
/// written.
pub(super) fn fetch(
    file: &dyn SegmentFile,
    place: &Place,
    mut draft: Draft,
) -> io::Result<Option<Block>> {
    let mut at = place.at;
    while draft.missing() > 0 {
        let room = draft.room(STEP);
        let count = file.read_at(at, room)?;
        if count == 0 {
            return Ok(None);
        }
        draft.advance(count);
        at += count as u64;
    }
    let block = draft.finish();
    Ok(block.filter(|block| block.checksum() == place.sum))
}

/// Whether a block's bytes are those that were written.
pub(super) fn is_whole(file: &dyn SegmentFile, place: &Place) -> io::Result<bool> {
    let mut hasher = XxHash3_128::new();
    let mut buffer = vec![0; STEP];
    let (mut at, mut missing) = (place.at, place.len);
    while missing > 0 {
        let most = usize::try_from(missing).unwrap_or(STEP).min(STEP);
        let count = file.read_at(at, &mut buffer[..most])?;
        if count == 0 {
            return Ok(false);
        }
        hasher.write(&buffer[..count]);
        at += count as u64;
        missing -= count as u64;
    }
    Ok(hasher.finish_128() == place.sum)
}
