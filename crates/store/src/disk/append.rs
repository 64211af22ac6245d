//! The one writer.

use super::{
    device::Device,
    format::{ALIGN, Record, padded, segment_header},
    index::{Index, Place},
};
use crate::{catalog::Stored, namespace::NamespaceId};
use parking_lot::Mutex;
use std::{
    hash::{BuildHasher as _, RandomState},
    io::{self, IoSlice},
    sync::Arc,
};

/// Bytes that are written at once.
const STEP: usize = 8 << 20;

/// Writes records behind one another. Its owner is the only one that writes to the device.
#[derive(Debug)]
pub struct Appender {
    device: Arc<dyn Device>,
    index: Arc<Mutex<Index>>,
    segment_bytes: u64,
    disk_bytes: u64,
    current: Option<Current>,
    next_segment: u64,
    next_serial: u64,
    secrets: RandomState,
}

#[derive(Debug)]
struct Current {
    id: u64,
    secret: u64,
    end: u64,
}

impl Appender {
    /// A writer that goes on behind what is there: in a new segment, whatever the last one has
    /// room for.
    #[must_use]
    pub fn new(
        device: Arc<dyn Device>,
        index: Arc<Mutex<Index>>,
        (segment_bytes, disk_bytes): (u64, u64),
        (next_segment, next_serial): (u64, u64),
    ) -> Self {
        Self {
            device,
            index,
            segment_bytes,
            disk_bytes,
            current: None,
            next_segment,
            next_serial,
            secrets: RandomState::new(),
        }
    }

    /// Largest block that a segment holds.
    #[must_use]
    pub fn block_max(&self) -> u64 {
        self.segment_bytes - (64 << 10)
    }

    /// Writes a block; it is in the index once all of it is written.
    pub fn put(
        &mut self,
        (id, namespace): (NamespaceId, &str),
        key: &[u8],
        stored: &Stored,
        expires_unix_ms: u64,
    ) -> io::Result<()> {
        let mut record = Record {
            segment: 0,
            offset: 0,
            serial: 0,
            gone: false,
            len: stored.block.len() as u64,
            sum: stored.block.checksum(),
            expires_unix_ms,
            attributes: stored.attributes.clone(),
            namespace: namespace.as_bytes().to_vec(),
            key: key.to_vec(),
        };
        self.write(&mut record, Some(stored))?;
        self.index.lock().insert(id, key, &Place::of(&record));
        Ok(())
    }

    /// Writes that a key is gone, so that a start does not find it again.
    pub fn gone(&mut self, namespace: &str, key: &[u8]) -> io::Result<()> {
        let mut record = Record {
            segment: 0,
            offset: 0,
            serial: 0,
            gone: true,
            len: 0,
            sum: 0,
            expires_unix_ms: 0,
            attributes: crate::catalog::Attributes::None,
            namespace: namespace.as_bytes().to_vec(),
            key: key.to_vec(),
        };
        self.write(&mut record, None)
    }

    /// What was written so far survives the machine.
    pub fn sync(&mut self) -> io::Result<()> {
        let Some(current) = &self.current else {
            return Ok(());
        };
        let file = self.index.lock().file(current.id);
        file.map_or(Ok(()), |file| file.sync())
    }

    fn write(&mut self, record: &mut Record, stored: Option<&Stored>) -> io::Result<()> {
        let fits = |current: &Current| current.end + record.disk_len() <= self.segment_bytes;
        if !self.current.as_ref().is_some_and(fits) {
            self.turn()?;
        }
        let Some(current) = &mut self.current else {
            return Err(io::Error::other("there is no segment"));
        };
        record.segment = current.id;
        record.offset = current.end;
        record.serial = self.next_serial;
        let file = self.index.lock().file(current.id);
        let file = file.ok_or_else(|| io::Error::other("the segment is gone"))?;
        // Taken before it is written: after a fault the next record comes behind what may be there.
        self.next_serial += 1;
        current.end += record.disk_len();
        let end = current.end;
        // Bytes first, then the header that vouches for them: a kill between leaves no record.
        let mut at = record.offset + record.header_len();
        if let Some(stored) = stored {
            let (mut from, len) = (0, stored.block.len());
            while from < len {
                let to = (from + STEP).min(len);
                let slices: Vec<IoSlice<'_>> = stored.block.slices(from, to).collect();
                file.write_at(at, &slices)?;
                at += (to - from) as u64;
                from = to;
            }
        }
        let header = record.encode(current.secret);
        file.write_at(record.offset, &[IoSlice::new(&header)])?;
        if let Some(segment) = self.index.lock().segments.get_mut(&record.segment) {
            segment.bytes = end;
        }
        Ok(())
    }

    /// Seals the segment and begins another, for which an old one may have to go.
    fn turn(&mut self) -> io::Result<()> {
        if let Some(current) = self.current.take()
            && let Some(file) = self.index.lock().file(current.id)
        {
            file.sync()?;
        }
        loop {
            let mut index = self.index.lock();
            if index.bytes() + self.segment_bytes <= self.disk_bytes {
                break;
            }
            let Some(dropped) = index.drop_segment(None) else {
                break;
            };
            drop(index);
            self.device.remove(dropped)?;
        }
        let id = self.next_segment;
        self.next_segment += 1;
        let secret = self.secrets.hash_one(id);
        let file = self.device.create(id)?;
        file.write_at(0, &[IoSlice::new(&segment_header(id, secret))])?;
        let end = padded(ALIGN as u64);
        self.index.lock().add_segment(id, file, end);
        self.current = Some(Current { id, secret, end });
        Ok(())
    }
}
