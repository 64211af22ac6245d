//! The one writer.

use super::{
    device::{Device, SegmentFile},
    format::{ALIGN, Record, padded, segment_header},
    index::{Index, Place},
};
use crate::catalog::Stored;
use parking_lot::Mutex;
use std::{
    collections::BTreeSet,
    hash::{BuildHasher as _, RandomState},
    io::{self, IoSlice},
    sync::Arc,
};

/// Records that are marked later at most.
const UNDEAD_MAX: usize = 1 << 12;

/// What may be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Bytes of one segment.
    pub segment_bytes: u64,
    /// Bytes of all.
    pub disk_bytes: u64,
    /// Bytes of memory for what is known of their blocks.
    pub index_bytes: usize,
}

/// Writes records behind one another. Its owner is the only one that writes to the device.
#[derive(Debug)]
pub struct Appender {
    device: Arc<dyn Device>,
    index: Arc<Mutex<Index>>,
    bounds: Bounds,
    current: Option<Current>,
    next_segment: u64,
    next_serial: u64,
    secrets: RandomState,
    /// Segments in which records died since the last sync.
    dirty: BTreeSet<u64>,
    /// Records that should be dead, but could not be marked: the next sync tries again.
    undead: Vec<Place>,
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
        bounds: Bounds,
        (next_segment, next_serial): (u64, u64),
    ) -> Self {
        Self {
            device,
            index,
            bounds,
            current: None,
            next_segment,
            next_serial,
            secrets: RandomState::new(),
            dirty: BTreeSet::new(),
            undead: Vec::new(),
        }
    }

    /// Largest block that a segment holds.
    #[must_use]
    pub fn block_max(&self) -> u64 {
        self.bounds.segment_bytes - (64 << 10)
    }

    /// Writes a block. It is on disk from here on, and in the index once the caller puts it there.
    pub fn put(
        &mut self,
        namespace: &str,
        key: &[u8],
        stored: &Stored,
        expires_unix_ms: u64,
    ) -> io::Result<Place> {
        let mut record = Record {
            segment: 0,
            offset: 0,
            serial: 0,
            dead: false,
            len: stored.block.len() as u64,
            sum: stored.block.checksum(),
            expires_unix_ms,
            attributes: stored.attributes.clone(),
            namespace: namespace.as_bytes().to_vec(),
            key: key.to_vec(),
        };
        self.write(&mut record, stored)?;
        Ok(Place::of(&record))
    }

    /// The record that is there is dead: a start does not find it again. One that is there no more, or
    /// another one, is left alone.
    pub fn kill(&mut self, place: &Place) -> io::Result<()> {
        let outcome = self.mark(place);
        if outcome.is_err() && self.undead.len() < UNDEAD_MAX {
            self.undead.push(place.clone());
        }
        outcome
    }

    fn mark(&mut self, place: &Place) -> io::Result<()> {
        let segment = {
            let index = self.index.lock();
            let segment = index.segments.get(&place.segment);
            segment.map(|segment| (Arc::clone(&segment.file), segment.secret))
        };
        let (Some((file, secret)), Some(offset)) = (segment, place.at.checked_sub(place.header))
        else {
            return Ok(());
        };
        let mut header = vec![0; usize::try_from(place.header).unwrap_or_default()];
        let count = file.read_at(offset, &mut header)?;
        let there = Record::parse(&header[..count], secret, (place.segment, offset));
        let Ok(mut record) = there else {
            return Ok(());
        };
        if record.serial == place.serial && !record.dead {
            record.dead = true;
            file.write_at(offset, &[IoSlice::new(&record.encode(secret))])?;
            self.dirty.insert(place.segment);
        }
        Ok(())
    }

    /// What was written so far survives the machine.
    pub fn sync(&mut self) -> io::Result<()> {
        while let Some(place) = self.undead.last().cloned() {
            self.mark(&place)?;
            self.undead.pop();
        }
        self.dirty
            .extend(self.current.as_ref().map(|current| current.id));
        // One that fails is tried again by the next sync.
        while let Some(id) = self.dirty.first().copied() {
            let file = self.index.lock().file(id);
            file.map_or(Ok(()), |file| file.sync())?;
            self.dirty.remove(&id);
        }
        Ok(())
    }

    /// Drops segments until the index takes no more memory than it may.
    pub fn fit(&mut self) -> io::Result<()> {
        while self.index.lock().entry_bytes() > self.bounds.index_bytes && self.drop_oldest()? {}
        Ok(())
    }

    fn write(&mut self, record: &mut Record, stored: &Stored) -> io::Result<()> {
        let segment_bytes = self.bounds.segment_bytes;
        let fits = |current: &Current| current.end + record.disk_len() <= segment_bytes;
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
        if let Err(error) = put_down(&*file, record, current.secret, stored) {
            // It may be there all the same.
            if self.undead.len() < UNDEAD_MAX {
                self.undead.push(Place::of(record));
            }
            return Err(error);
        }
        if let Some(segment) = self.index.lock().segments.get_mut(&record.segment) {
            segment.bytes = end;
        }
        Ok(())
    }

    /// Nothing more is written to the segment.
    pub fn seal(&mut self) -> io::Result<()> {
        let Some(current) = self.current.take() else {
            return Ok(());
        };
        let file = self.index.lock().file(current.id);
        if let Some(file) = file {
            file.trim()?;
            file.sync()?;
        }
        Ok(())
    }

    /// Seals the segment and begins another, for which an old one may have to go.
    fn turn(&mut self) -> io::Result<()> {
        self.seal()?;
        let Bounds {
            segment_bytes,
            disk_bytes,
            ..
        } = self.bounds;
        while self.index.lock().bytes() + segment_bytes > disk_bytes && self.drop_oldest()? {}
        let id = self.next_segment;
        self.next_segment += 1;
        let secret = self.secrets.hash_one(id);
        let file = self.device.create(id, segment_bytes)?;
        if let Err(error) = Self::begin(&*file, id, secret) {
            // Nothing is in it: if it stays, a start takes it away.
            _ = self.device.remove(id);
            return Err(error);
        }
        let end = padded(ALIGN as u64);
        self.index.lock().add_segment(id, (file, secret), end);
        self.current = Some(Current { id, secret, end });
        Ok(())
    }

    fn begin(file: &dyn SegmentFile, id: u64, secret: u64) -> io::Result<()> {
        file.write_at(0, &[IoSlice::new(&segment_header(id, secret))])
    }

    /// Takes away the segment that was used longest ago, with its blocks; whether there was one. One
    /// that can't be taken away stays known, so that its room is not given twice.
    fn drop_oldest(&mut self) -> io::Result<bool> {
        let current = self.current.as_ref().map(|current| current.id);
        let Some(oldest) = self.index.lock().oldest(current) else {
            return Ok(false);
        };
        self.device.remove(oldest)?;
        self.index.lock().forget(oldest);
        self.dirty.remove(&oldest);
        Ok(true)
    }
}

/// Bytes that lie as reads and writes past the system's cache want them.
#[repr(align(4096))]
struct Page([u8; ALIGN]);

impl Page {
    fn of(bytes: &[u8]) -> Self {
        let mut page = Self([0; ALIGN]);
        page.0[..bytes.len()].copy_from_slice(bytes);
        page
    }

    fn slice(&self) -> IoSlice<'_> {
        IoSlice::new(&self.0)
    }
}

/// Writes a record in one call, so that the disk has much to do at once. A kill in the middle may leave a
/// header whose bytes are not all there: they are compared with it when they are read.
fn put_down(
    file: &dyn SegmentFile,
    record: &Record,
    secret: u64,
    stored: &Stored,
) -> io::Result<()> {
    let header = record.encode(secret);
    let header: Vec<Page> = header.chunks(ALIGN).map(Page::of).collect();
    let block = &stored.block;
    let whole = block.len() / ALIGN * ALIGN;
    let rest: Vec<u8> = block
        .slices(whole, block.len())
        .flat_map(|slice| slice.to_vec())
        .collect();
    let rest = (!rest.is_empty()).then(|| Page::of(&rest));
    let mut slices: Vec<IoSlice<'_>> = header.iter().map(Page::slice).collect();
    slices.extend(block.slices(0, whole));
    slices.extend(rest.iter().map(Page::slice));
    file.write_at(record.offset, &slices)
}
