//! Keys to blocks.

use super::{
    graves::{Gone, Graves},
    leases::Leases,
    record::{Condition, NEVER, Put, Record, Stored},
};
use crate::namespace::NamespaceId;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use onefill_evict::{Facts, Paged, Policy};
use std::{collections::BTreeSet, hash::BuildHasher, sync::Arc};

/// What a record takes beside its key and its block's pages.
pub const RECORD_BYTES: usize = 384;

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
    hasher: DefaultHashBuilder,
    policy: Box<dyn Policy>,
    leases: Leases,
    graves: Graves,
    /// Ends of life, the next one first.
    pub(super) ends: BTreeSet<(u64, u32)>,
    record_bytes: usize,
    limits: Limits,
    serial: u32,
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
            hasher: DefaultHashBuilder::default(),
            policy,
            leases: Leases::new(limits.leased_pages_max),
            graves: Graves::default(),
            ends: BTreeSet::new(),
            record_bytes: 0,
            limits,
            serial: 0,
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

    /// Bytes of records and keys, as they are charged.
    #[must_use]
    pub fn record_bytes(&self) -> usize {
        self.record_bytes
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
        self.fetched(id);
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
        self.lapse(now_ms);
        if lease_ms > 0 {
            self.lease(id, now_ms + lease_ms);
        }
        self.record(id).map(|record| record.stored.block.len())
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
        self.serial = self.serial.wrapping_add(1);
        self.record_bytes += RECORD_BYTES + key.len();
        let count = self.counts.entry(namespace).or_default();
        count.blocks += 1;
        count.bytes += stored.block.len();
        let record = Record {
            namespace,
            key: key.into(),
            hash,
            serial: self.serial,
            stored,
            leases: 0,
            leased_until_ms: 0,
            end_ms: expires_ms.unwrap_or(NEVER),
            pinned: false,
        };
        let id = self.free.pop().unwrap_or_else(|| {
            // Records are charged: there are never 2^32 of them.
            u32::try_from(self.slots.add()).unwrap_or(u32::MAX)
        });
        self.slots[id as usize] = Some(record);
        self.move_end(id, None, expires_ms);
        let slots = &self.slots;
        let rehash = |id: &u32| slots[*id as usize].as_ref().map_or(0, |record| record.hash);
        self.table.insert_unique(hash, id, rehash);
        self.policy.inserted(
            id,
            Facts {
                fingerprint: hash,
                parent,
            },
        );
    }

    fn replace(&mut self, id: u32, stored: Arc<Stored>, put: &Put) -> Inserted {
        self.fetched(id);
        let Some(record) = self.slots[id as usize].as_mut() else {
            return Inserted::Unmet;
        };
        let same = record.stored.block.checksum() == stored.block.checksum()
            && record.stored.block.len() == stored.block.len();
        let count = self.counts.entry(record.namespace).or_default();
        count.bytes = count.bytes + stored.block.len() - record.stored.block.len();
        // The promise was on the old bytes' pages: it ends with them.
        let held = if record.leases > 0 {
            record.stored.block.pages()
        } else {
            0
        };
        record.leases = 0;
        record.stored = stored;
        let before = record.expires_ms();
        if !put.keep_expiry {
            record.end_ms = put.expires_ms.unwrap_or(NEVER);
        }
        let after = record.expires_ms();
        self.leases.let_go(held);
        self.move_end(id, before, after);
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
        self.fetched(id);
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
        self.record_bytes > self.limits.record_bytes_max
    }

    /// Lets the next block go; `None` where none may.
    pub fn evict(&mut self, now_ms: u64) -> Option<Arc<Stored>> {
        if let Some((end, id)) = self.ends.first().copied()
            && end <= now_ms
        {
            return self.take_out(id, Gone::Expired);
        }
        self.lapse(now_ms);
        let mut pinned = Vec::new();
        let slots = &self.slots;
        let victim = self.policy.victim(&mut |id| {
            let Some(record) = &slots[id as usize] else {
                return false;
            };
            if record.pinned {
                pinned.push(id);
            }
            record.may_go(now_ms)
        });
        // They would be proposed again and again, before all others.
        for id in pinned {
            self.policy.touched(id);
        }
        self.take_out(victim?, Gone::Evicted)
    }

    pub(super) fn take_out(&mut self, id: u32, why: Gone) -> Option<Arc<Stored>> {
        let record = self.slots.get_mut(id as usize)?.take()?;
        if let Ok(entry) = self.table.find_entry(record.hash, |other| *other == id) {
            entry.remove();
        }
        self.free.push(id);
        self.policy.removed(id, why == Gone::Evicted);
        self.move_end(id, record.expires_ms(), None);
        if record.leases > 0 {
            self.leases.let_go(record.stored.block.pages());
        }
        self.record_bytes -= RECORD_BYTES + record.key.len();
        let size = record.stored.block.len();
        let count = self.counts.entry(record.namespace).or_default();
        count.blocks -= 1;
        count.bytes -= size;
        count.evicted += u64::from(why == Gone::Evicted);
        self.graves.bury(record.hash, size as u64, why);
        Some(record.stored)
    }

    fn hash(&self, namespace: NamespaceId, key: &[u8]) -> u64 {
        self.hasher.hash_one((namespace, key))
    }

    fn find(&self, namespace: NamespaceId, key: &[u8]) -> Option<u32> {
        let hash = self.hash(namespace, key);
        let same = |id: &u32| {
            let record = self.record(*id);
            record.is_some_and(|record| record.namespace == namespace && *record.key == *key)
        };
        self.table.find(hash, same).copied()
    }

    /// The slot of a key whose time is not over.
    pub(super) fn live(&mut self, namespace: NamespaceId, key: &[u8], now_ms: u64) -> Option<u32> {
        let id = self.find(namespace, key)?;
        if self.record(id)?.is_expired(now_ms) {
            self.take_out(id, Gone::Expired);
            return None;
        }
        Some(id)
    }

    pub(super) fn record(&self, id: u32) -> Option<&Record> {
        self.slots.get(id as usize)?.as_ref()
    }

    pub(super) fn record_mut(&mut self, id: u32) -> Option<&mut Record> {
        self.slots.get_mut(id as usize)?.as_mut()
    }

    fn lease(&mut self, id: u32, until_ms: u64) {
        let Some(record) = self.slots[id as usize].as_mut() else {
            return;
        };
        let pages = record.stored.block.pages();
        if record.leases == 0 && !self.leases.has_room(pages) {
            return;
        }
        if record.leases == 0 {
            self.leases.hold(pages);
        }
        record.leases = record.leases.saturating_add(1);
        record.leased_until_ms = until_ms;
        let serial = record.serial;
        self.leases.queue(until_ms, id, serial);
    }

    /// One of a block's promises was kept.
    fn fetched(&mut self, id: u32) {
        if let Some(record) = self.slots[id as usize].as_mut()
            && record.leases > 0
        {
            record.leases -= 1;
            if record.leases == 0 {
                self.leases.let_go(record.stored.block.pages());
            }
        }
    }

    /// Forgets promises whose time is over.
    fn lapse(&mut self, now_ms: u64) {
        while let Some((id, serial)) = self.leases.lapsed(now_ms) {
            if let Some(Some(record)) = self.slots.get_mut(id as usize)
                && record.serial == serial
                && record.leases > 0
                && record.leased_until_ms <= now_ms
            {
                record.leases = 0;
                self.leases.let_go(record.stored.block.pages());
            }
        }
    }
}
