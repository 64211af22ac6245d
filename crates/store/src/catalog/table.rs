//! Keys to blocks.

use super::{
    expiry::Ends,
    graves::{Gone, Graves},
    leases::Leases,
    record::{Condition, END_BYTES, Put, Record, Stored},
};
use crate::{keys::Keys, namespace::NamespaceId};
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use onefill_evict::{Facts, Paged, Policy};
use std::{hash::BuildHasher, sync::Arc};

/// Bounds of a catalog.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all records and their keys.
    pub record_bytes_max: usize,
    /// Pages that may be promised at once.
    pub leased_pages_max: usize,
}

/// What became of a PUT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inserted {
    /// There was no such key.
    New,
    /// There was one, with the same bytes.
    Same,
    /// There was one, with other bytes, which are gone.
    Replaced,
    /// The condition did not hold.
    Unmet,
}

/// See the module above.
#[derive(Debug)]
pub struct Catalog {
    pub(super) slots: Paged<Option<Record>>,
    free: Vec<u32>,
    table: HashTable<u32>,
    pub(super) keys: Keys,
    hasher: DefaultHashBuilder,
    policy: Box<dyn Policy>,
    leases: Leases,
    graves: Graves,
    pub(super) ends: Ends,
    record_bytes: usize,
    limits: Limits,
    counts: HashMap<NamespaceId, Count>,
}

/// What one namespace has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// Blocks.
    pub blocks: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Blocks that went for want of room, ever.
    pub evicted: u64,
}

impl Catalog {
    /// An empty one.
    #[must_use]
    pub fn new(policy: Box<dyn Policy>, limits: Limits) -> Self {
        Self {
            slots: Paged::default(),
            free: Vec::new(),
            table: HashTable::new(),
            keys: Keys::default(),
            hasher: DefaultHashBuilder::default(),
            policy,
            leases: Leases::new(limits.leased_pages_max),
            graves: Graves::default(),
            ends: Ends::default(),
            record_bytes: 0,
            limits,
            counts: HashMap::new(),
        }
    }

    /// Blocks there.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Bytes of records, keys and ends, as they are charged.
    #[must_use]
    pub fn record_bytes(&self) -> usize {
        self.record_bytes + self.ends.len() * END_BYTES
    }

    /// Pages that are promised.
    #[must_use]
    pub fn leased_pages(&self) -> usize {
        self.leases.pages()
    }

    /// What a namespace has.
    #[must_use]
    pub fn count(&self, namespace: NamespaceId) -> Count {
        self.counts.get(&namespace).copied().unwrap_or_default()
    }

    /// The block of a key; used now.
    pub fn get(
        &mut self,
        namespace: NamespaceId,
        key: &[u8],
        now_ms: u64,
    ) -> Result<Arc<Stored>, (Gone, Option<u64>)> {
        let Some(id) = self.live(namespace, key, now_ms) else {
            return Err(self.graves.find(self.hash(namespace, key)));
        };
        self.policy.touched(id);
        self.leases.kept(id);
        let record = self.record(id).ok_or((Gone::Absent, None))?;
        Ok(Arc::clone(&record.stored))
    }

    /// Whether there is such a block; used now, and promised for `lease_ms`. The answer is its
    /// size.
    pub fn promise(
        &mut self,
        namespace: NamespaceId,
        key: &[u8],
        lease_ms: u64,
        now_ms: u64,
    ) -> Option<usize> {
        let id = self.live(namespace, key, now_ms)?;
        self.policy.touched(id);
        self.leases.lapse(now_ms);
        let block = &self.slots.get(id as usize)?.as_ref()?.stored.block;
        if lease_ms > 0 {
            self.leases.give(id, block.pages(), now_ms + lease_ms);
        }
        Some(block.len())
    }

    /// Takes a block in, which is visible from here on.
    pub fn insert(
        &mut self,
        namespace: NamespaceId,
        key: &[u8],
        stored: Arc<Stored>,
        put: &Put,
        now_ms: u64,
    ) -> Inserted {
        let before = self.live(namespace, key, now_ms);
        match (put.condition, before) {
            (Condition::Absent, Some(_)) | (Condition::Present, None) => return Inserted::Unmet,
            _ => {}
        }
        let parent = put.parent.as_deref();
        let parent = parent.and_then(|parent| self.live(namespace, parent, now_ms));
        if let Some(id) = before {
            return self.replace(id, stored, put);
        }
        self.add(namespace, key, stored, put.expires_ms, parent);
        Inserted::New
    }

    fn add(
        &mut self,
        namespace: NamespaceId,
        key: &[u8],
        stored: Arc<Stored>,
        expires_ms: Option<u64>,
        parent: Option<u32>,
    ) {
        let hash = self.hash(namespace, key);
        self.graves.rise(hash);
        let count = self.counts.entry(namespace).or_default();
        count.blocks += 1;
        count.bytes += stored.block.len();
        let record = Record {
            key: self.keys.keep(key),
            stored,
            mark: mark(hash),
            namespace,
            pinned: false,
        };
        self.record_bytes += record.bytes();
        let id = self.free.pop().unwrap_or_else(|| {
            // Records are charged: there are never 2^32 of them.
            u32::try_from(self.slots.add()).unwrap_or(u32::MAX)
        });
        self.slots[id as usize] = Some(record);
        self.ends.set(id, expires_ms);
        let slots = &self.slots;
        let rehash = |id: &u32| {
            let record = slots[*id as usize].as_ref();
            record.map_or(0, |record| spread(record.mark))
        };
        self.table.insert_unique(spread(mark(hash)), id, rehash);
        self.policy.inserted(
            id,
            Facts {
                fingerprint: hash,
                parent,
            },
        );
    }

    fn replace(&mut self, id: u32, stored: Arc<Stored>, put: &Put) -> Inserted {
        let Some(record) = self.slots[id as usize].as_mut() else {
            return Inserted::Unmet;
        };
        let same = record.stored.block.checksum() == stored.block.checksum()
            && record.stored.block.len() == stored.block.len();
        let count = self.counts.entry(record.namespace).or_default();
        count.bytes = count.bytes + stored.block.len() - record.stored.block.len();
        self.record_bytes -= record.bytes();
        record.stored = stored;
        self.record_bytes += record.bytes();
        // The promise was on the old bytes' pages: it ends with them.
        self.leases.end(id);
        if !put.keep_expiry {
            self.ends.set(id, put.expires_ms);
        }
        self.policy.touched(id);
        if same {
            Inserted::Same
        } else {
            Inserted::Replaced
        }
    }

    /// Takes a block out; its size.
    pub fn remove(
        &mut self,
        namespace: NamespaceId,
        key: &[u8],
        why: Gone,
        now_ms: u64,
    ) -> Option<usize> {
        let id = self.live(namespace, key, now_ms)?;
        self.take_out(id, why).map(|stored| stored.block.len())
    }

    /// Takes a block out whose bytes failed their check, unless others have been put by now.
    pub fn quarantine(&mut self, namespace: NamespaceId, key: &[u8], bad: &Arc<Stored>) {
        if let Some(id) = self.find(namespace, key)
            && self
                .record(id)
                .is_some_and(|record| Arc::ptr_eq(&record.stored, bad))
        {
            self.take_out(id, Gone::Corrupt);
        }
    }

    /// A promise is not wanted; the block's size, if it is there.
    pub fn release(&mut self, namespace: NamespaceId, key: &[u8], now_ms: u64) -> Option<usize> {
        let id = self.live(namespace, key, now_ms)?;
        self.leases.kept(id);
        self.record(id).map(|record| record.stored.block.len())
    }

    /// Makes a block stay, or lets it go; its size, if it is there.
    pub fn pin(
        &mut self,
        namespace: NamespaceId,
        key: &[u8],
        pinned: bool,
        now_ms: u64,
    ) -> Option<usize> {
        let id = self.live(namespace, key, now_ms)?;
        let record = self.record_mut(id)?;
        record.pinned = pinned;
        Some(record.stored.block.len())
    }

    /// Whether records take more than they may.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.record_bytes() > self.limits.record_bytes_max
    }

    /// Lets the next block go; `None` where none may.
    pub fn evict(&mut self, now_ms: u64) -> Option<Arc<Stored>> {
        if let Some(id) = self.ends.over(now_ms) {
            return self.take_out(id, Gone::Expired);
        }
        self.leases.lapse(now_ms);
        let mut pinned = Vec::new();
        let (slots, leases) = (&self.slots, &self.leases);
        let victim = self.policy.victim(&mut |id| {
            let Some(record) = &slots[id as usize] else {
                return false;
            };
            if record.pinned {
                pinned.push(id);
            }
            // Nobody was promised it, and nobody reads it.
            let is_read = Arc::strong_count(&record.stored) > 1;
            !record.pinned && !leases.hold(id, now_ms) && !is_read
        });
        // They would be proposed again and again, before all others.
        for id in pinned {
            self.policy.touched(id);
        }
        self.take_out(victim?, Gone::Evicted)
    }

    pub(super) fn take_out(&mut self, id: u32, why: Gone) -> Option<Arc<Stored>> {
        let record = self.slots.get_mut(id as usize)?.take()?;
        let same = |other: &u32| *other == id;
        if let Ok(entry) = self.table.find_entry(spread(record.mark), same) {
            entry.remove();
        }
        let hash = self.hash(record.namespace, &self.keys.name(&record.key));
        self.keys.let_go(&record.key);
        self.free.push(id);
        let evicted = (why == Gone::Evicted).then_some(hash);
        self.policy.removed(id, evicted);
        self.ends.set(id, None);
        self.leases.end(id);
        self.record_bytes -= record.bytes();
        let size = record.stored.block.len();
        let count = self.counts.entry(record.namespace).or_default();
        count.blocks -= 1;
        count.bytes -= size;
        count.evicted += u64::from(why == Gone::Evicted);
        self.graves.bury(hash, size as u64, why);
        Some(record.stored)
    }

    fn hash(&self, namespace: NamespaceId, key: &[u8]) -> u64 {
        self.hasher.hash_one((namespace, key))
    }

    fn find(&self, namespace: NamespaceId, key: &[u8]) -> Option<u32> {
        let mark = mark(self.hash(namespace, key));
        let same = |id: &u32| {
            self.record(*id).is_some_and(|record| {
                record.mark == mark
                    && record.namespace == namespace
                    && self.keys.is(&record.key, key)
            })
        };
        self.table.find(spread(mark), same).copied()
    }

    /// The slot of a key whose time is not over.
    pub(super) fn live(&mut self, namespace: NamespaceId, key: &[u8], now_ms: u64) -> Option<u32> {
        let id = self.find(namespace, key)?;
        if self.is_over(id, now_ms) {
            self.take_out(id, Gone::Expired);
            return None;
        }
        Some(id)
    }

    /// Whether a block's time is over.
    pub(super) fn is_over(&self, id: u32, now_ms: u64) -> bool {
        self.ends.get(id).is_some_and(|end| end <= now_ms)
    }

    pub(super) fn record(&self, id: u32) -> Option<&Record> {
        self.slots.get(id as usize)?.as_ref()
    }

    fn record_mut(&mut self, id: u32) -> Option<&mut Record> {
        self.slots.get_mut(id as usize)?.as_mut()
    }
}

/// What a record keeps of its key's hash.
pub(crate) fn mark(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// A mark as a hash: the table looks at the highest and the lowest bits.
pub(crate) fn spread(mark: u32) -> u64 {
    u64::from(mark).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
