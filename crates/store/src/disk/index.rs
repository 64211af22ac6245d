//! What is where.

use super::{device::SegmentFile, format::Record};
use crate::{catalog::Attributes, namespace::NamespaceId};
use hashbrown::HashMap;
use std::{collections::BTreeMap, sync::Arc};

/// Where a block lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// In which segment.
    pub segment: u64,
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
            at: record.offset + record.header_len(),
            len: record.len,
            sum: record.sum,
            serial: record.serial,
            expires_unix_ms: record.expires_unix_ms,
            attributes: record.attributes,
        }
    }
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) file: Arc<dyn SegmentFile>,
    pub(super) bytes: u64,
    used: u64,
}

/// Blocks and segments.
#[derive(Debug, Default)]
pub struct Index {
    blocks: HashMap<NamespaceId, HashMap<Box<[u8]>, Place>>,
    pub(super) segments: BTreeMap<u64, Segment>,
    uses: u64,
    count: usize,
}

impl Index {
    /// Blocks in all segments.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of all segments.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.values().map(|segment| segment.bytes).sum()
    }

    /// Where a key's block is; used now.
    pub fn find(&mut self, namespace: NamespaceId, key: &[u8], unix_ms: u64) -> Option<Place> {
        let place = *self.blocks.get(&namespace)?.get(key)?;
        if place.expires_unix_ms > 0 && place.expires_unix_ms <= unix_ms {
            return None;
        }
        self.uses += 1;
        self.segments.get_mut(&place.segment)?.used = self.uses;
        Some(place)
    }

    /// A block is there, unless a later one of its key is.
    pub fn insert(&mut self, namespace: NamespaceId, key: &[u8], place: Place) {
        let blocks = self.blocks.entry(namespace).or_default();
        match blocks.get_mut(key) {
            Some(known) if known.serial > place.serial => {}
            Some(known) => *known = place,
            None => {
                blocks.insert(key.into(), place);
                self.count += 1;
            }
        }
    }

    /// Keys of a namespace, in the order in which their blocks lie.
    pub(super) fn keys(&self, namespace: NamespaceId) -> Vec<Box<[u8]>> {
        let blocks = self.blocks.get(&namespace).into_iter().flatten();
        let mut keys: Vec<_> = blocks.collect();
        keys.sort_unstable_by_key(|(_, place)| (place.segment, place.at));
        keys.into_iter().map(|(key, _)| key.clone()).collect()
    }

    /// The key is gone, unless a later block of it is there; where it was.
    pub fn remove(&mut self, namespace: NamespaceId, key: &[u8], before: u64) -> Option<Place> {
        let blocks = self.blocks.get_mut(&namespace)?;
        let known = blocks.get(key).filter(|place| place.serial < before)?;
        let known = *known;
        blocks.remove(key);
        self.count -= 1;
        Some(known)
    }

    pub(super) fn file(&self, segment: u64) -> Option<Arc<dyn SegmentFile>> {
        Some(Arc::clone(&self.segments.get(&segment)?.file))
    }

    pub(super) fn add_segment(&mut self, id: u64, file: Arc<dyn SegmentFile>, bytes: u64) {
        self.uses += 1;
        let used = self.uses;
        self.segments.insert(id, Segment { file, bytes, used });
    }

    /// The segment that was used longest ago, except `but`; it and its blocks are forgotten.
    pub(super) fn drop_segment(&mut self, but: u64) -> Option<u64> {
        let others = self.segments.iter().filter(|(id, _)| **id != but);
        let id = *others.min_by_key(|(_, segment)| segment.used)?.0;
        self.segments.remove(&id);
        for blocks in self.blocks.values_mut() {
            blocks.retain(|_, place| place.segment != id);
        }
        self.count = self.blocks.values().map(HashMap::len).sum();
        Some(id)
    }
}
