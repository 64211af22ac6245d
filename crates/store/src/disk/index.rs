//! What is where.

use super::{
    device::SegmentFile,
    format::{ALIGN, Record},
};
use crate::{
    catalog::{Attributes, mark, spread},
    keys::{Key, Keys},
    namespace::NamespaceId,
};
use hashbrown::{DefaultHashBuilder, HashTable};
use onefill_evict::Paged;
use std::{collections::BTreeMap, hash::BuildHasher as _, sync::Arc};

/// What a block on disk takes in memory, with a key as engines make them (a test counts it).
pub const ENTRY_BYTES: usize = 128;

/// Where a block lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// In which segment.
    pub segment: u64,
    /// Bytes of its header, which ends where they begin.
    pub header: u64,
    /// Where its bytes begin.
    pub at: u64,
    /// Their number.
    pub len: u64,
    /// Their xxh3-128.
    pub sum: u128,
    /// Later ones of a key stand over earlier ones.
    pub serial: u64,
    /// When it ends, in milliseconds of Unix time; 0: never.
    pub expires_unix_ms: u64,
    /// What its door wants to be told again.
    pub attributes: Attributes,
}

impl Place {
    /// Where a record's bytes are.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        Self {
            segment: record.segment,
            header: record.header_len(),
            at: record.offset + record.header_len(),
            len: record.len,
            sum: record.sum,
            serial: record.serial,
            expires_unix_ms: record.expires_unix_ms,
            attributes: record.attributes.clone(),
        }
    }
}

/// A key and its place, in as few bytes as that can be said.
#[derive(Debug)]
struct Entry {
    key: Key,
    sum: [u64; 2],
    serial: u64,
    expires_unix_ms: u64,
    attributes: Attributes,
    segment: u32,
    /// Where its bytes begin, in units of [`ALIGN`].
    at: u32,
    len: u32,
    mark: u32,
    header: u16,
    namespace: NamespaceId,
}

impl Entry {
    fn place(&self) -> Place {
        let [low, high] = self.sum.map(u128::from);
        Place {
            segment: u64::from(self.segment),
            header: u64::from(self.header),
            at: u64::from(self.at) * ALIGN as u64,
            len: u64::from(self.len),
            sum: high << 64 | low,
            serial: self.serial,
            expires_unix_ms: self.expires_unix_ms,
            attributes: self.attributes.clone(),
        }
    }

    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.key.heap_bytes()
    }
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) file: Arc<dyn SegmentFile>,
    pub(super) secret: u64,
    pub(super) bytes: u64,
    used: u64,
    /// Blocks that were written to it; the slots of some may have others by now.
    slots: Vec<u32>,
}

/// Blocks and segments.
#[derive(Debug, Default)]
pub struct Index {
    slots: Paged<Option<Entry>>,
    free: Vec<u32>,
    table: HashTable<u32>,
    keys: Keys,
    hasher: DefaultHashBuilder,
    pub(super) segments: BTreeMap<u64, Segment>,
    uses: u64,
    entry_bytes: usize,
}

impl Index {
    /// Blocks in all segments.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Bytes of all segments.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.values().map(|segment| segment.bytes).sum()
    }

    /// Bytes of memory that it takes, as they are counted.
    #[must_use]
    pub fn entry_bytes(&self) -> usize {
        self.entry_bytes
    }

    fn mark(&self, namespace: NamespaceId, key: &[u8]) -> u32 {
        mark(self.hasher.hash_one((namespace, key)))
    }

    fn entry(&self, id: u32) -> Option<&Entry> {
        self.slots.get(id as usize)?.as_ref()
    }

    fn slot(&self, namespace: NamespaceId, key: &[u8]) -> Option<u32> {
        let mark = self.mark(namespace, key);
        let same = |id: &u32| {
            self.entry(*id).is_some_and(|entry| {
                entry.mark == mark && entry.namespace == namespace && self.keys.is(&entry.key, key)
            })
        };
        self.table.find(spread(mark), same).copied()
    }

    /// Where a key's block is; used now.
    pub fn find(&mut self, namespace: NamespaceId, key: &[u8], unix_ms: u64) -> Option<Place> {
        let id = self.slot(namespace, key)?;
        let entry = self.entry(id)?;
        if entry.expires_unix_ms > 0 && entry.expires_unix_ms <= unix_ms {
            return None;
        }
        let place = entry.place();
        self.uses += 1;
        self.segments.get_mut(&place.segment)?.used = self.uses;
        Some(place)
    }

    /// A block is there, unless a later one of its key is. The earlier of both, if there are two.
    pub fn insert(&mut self, namespace: NamespaceId, key: &[u8], place: &Place) -> Option<Place> {
        let known = self.slot(namespace, key);
        let later = |id: &u32| {
            let known = self.entry(*id);
            known.is_some_and(|known| known.serial > place.serial)
        };
        if known.as_ref().is_some_and(later) {
            return Some(place.clone());
        }
        let before = known.and_then(|id| self.take_out(id));
        // Beyond that a segment's number and a place in it don't go: see `SEGMENT_MAX`.
        let numbers = [place.segment, place.at / ALIGN as u64, place.len].map(u32::try_from);
        let ([Ok(segment), Ok(at), Ok(len)], Ok(header)) = (numbers, u16::try_from(place.header))
        else {
            return before;
        };
        let mark = self.mark(namespace, key);
        let entry = Entry {
            key: self.keys.keep(key),
            sum: [place.sum as u64, (place.sum >> 64) as u64],
            serial: place.serial,
            expires_unix_ms: place.expires_unix_ms,
            attributes: place.attributes.clone(),
            segment,
            at,
            len,
            mark,
            header,
            namespace,
        };
        self.entry_bytes += entry.bytes();
        let id = self.free.pop().unwrap_or_else(|| self.slots.add() as u32);
        self.slots[id as usize] = Some(entry);
        if let Some(segment) = self.segments.get_mut(&place.segment) {
            segment.slots.push(id);
        }
        let slots = &self.slots;
        let rehash = |id: &u32| {
            let entry = slots[*id as usize].as_ref();
            entry.map_or(0, |entry| spread(entry.mark))
        };
        self.table.insert_unique(spread(mark), id, rehash);
        before
    }

    fn take_out(&mut self, id: u32) -> Option<Place> {
        let entry = self.slots.get_mut(id as usize)?.take()?;
        let same = |other: &u32| *other == id;
        if let Ok(known) = self.table.find_entry(spread(entry.mark), same) {
            known.remove();
        }
        self.entry_bytes -= entry.bytes();
        self.keys.let_go(&entry.key);
        self.free.push(id);
        Some(entry.place())
    }

    /// Keys of a namespace, in the order in which their blocks lie.
    pub(super) fn keys(&self, namespace: NamespaceId) -> Vec<Box<[u8]>> {
        let entries = self
            .slots
            .iter_from(0)
            .filter_map(|(_, slot)| slot.as_ref());
        let mut entries: Vec<&Entry> = entries
            .filter(|entry| entry.namespace == namespace)
            .collect();
        entries.sort_unstable_by_key(|entry| (entry.segment, entry.at));
        let names = entries.into_iter().map(|entry| self.keys.name(&entry.key));
        names.collect()
    }

    /// The key is gone, unless a later block of it is there; where it was.
    pub fn remove(&mut self, namespace: NamespaceId, key: &[u8], before: u64) -> Option<Place> {
        let id = self.slot(namespace, key)?;
        self.entry(id).filter(|entry| entry.serial < before)?;
        self.take_out(id)
    }

    pub(super) fn file(&self, segment: u64) -> Option<Arc<dyn SegmentFile>> {
        Some(Arc::clone(&self.segments.get(&segment)?.file))
    }

    pub(super) fn add_segment(
        &mut self,
        id: u64,
        (file, secret): (Arc<dyn SegmentFile>, u64),
        bytes: u64,
    ) {
        self.uses += 1;
        let segment = Segment {
            file,
            secret,
            bytes,
            used: self.uses,
            slots: Vec::new(),
        };
        self.segments.insert(id, segment);
    }

    /// The segment that was used longest ago, except `but`.
    pub(super) fn oldest(&self, but: Option<u64>) -> Option<u64> {
        let others = self.segments.iter().filter(|(id, _)| Some(**id) != but);
        Some(*others.min_by_key(|(_, segment)| segment.used)?.0)
    }

    /// A segment was taken away, with its blocks.
    pub(super) fn forget(&mut self, id: u64) {
        let Some(segment) = self.segments.remove(&id) else {
            return;
        };
        for slot in segment.slots {
            let there = self.entry(slot);
            if there.is_some_and(|entry| u64::from(entry.segment) == id) {
                self.take_out(slot);
            }
        }
    }
}
