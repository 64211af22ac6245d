//! Puts, deletes and reads over a simulated disk, beside what was really put.

use super::simulated::{Dice, Disk, Faults};
use crate::{
    Namespace, Namespaces,
    catalog::{Attributes, Stored},
    disk::{Appender, Device, Index, fetch::fetch, recover::recover},
    memory::Arena,
};
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::sync::Arc;

pub(super) const SEGMENT: u64 = 128 << 10;
pub(super) const DISK: u64 = 1 << 20;
const KEYS: u64 = 60;

/// A key: tenant and number. Both tenants use the same keys.
type Key = (usize, u64);

pub(super) struct World {
    disk: Arc<Disk>,
    index: Arc<Mutex<Index>>,
    appender: Appender,
    namespaces: Namespaces,
    tenants: [Arc<Namespace>; 2],
    arena: Arena,
    dice: Dice,
    /// Versions that were put of each key so far, and whether the last of them is there.
    truth: HashMap<Key, (u64, bool)>,
    pub(super) reads: u64,
    pub(super) hits: u64,
}

/// The bytes of one version: no other key or version has them.
fn bytes((tenant, number): Key, version: u64) -> Vec<u8> {
    let seed = (tenant as u64 + 1) << 60 ^ number << 32 ^ version;
    let mut dice = Dice::new(seed);
    let len = 1 + dice.below(3000);
    let mut bytes = seed.to_le_bytes().to_vec();
    bytes.extend((0..len).map(|_| dice.below(256) as u8));
    bytes
}

fn name(number: u64) -> Vec<u8> {
    format!("key-{number}").into_bytes()
}

fn recovered(disk: &Arc<Disk>, namespaces: &Namespaces) -> (Arc<Mutex<Index>>, Appender) {
    let mut index = Index::default();
    let device: Arc<dyn Device> = Arc::clone(disk) as Arc<dyn Device>;
    let found = recover(&*device, &mut index, namespaces).unwrap();
    let index = Arc::new(Mutex::new(index));
    let next = (found.next_segment, found.next_serial);
    let appender = Appender::new(device, Arc::clone(&index), (SEGMENT, DISK), next);
    (index, appender)
}

impl World {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        let disk = Arc::new(Disk::new(seed, faults));
        let namespaces = Namespaces::default();
        let tenants = ["a", "b"].map(|name| namespaces.open(name, None).unwrap());
        let (index, appender) = recovered(&disk, &namespaces);
        Self {
            disk,
            index,
            appender,
            namespaces,
            tenants,
            arena: Arena::new(1 << 20),
            dice: Dice::new(seed + 1),
            truth: HashMap::new(),
            reads: 0,
            hits: 0,
        }
    }

    fn key(&mut self) -> Key {
        (usize::from(self.dice.below(2) == 1), self.dice.below(KEYS))
    }

    pub(super) fn put_or_delete(&mut self) {
        let key = self.key();
        let tenant = Arc::clone(&self.tenants[key.0]);
        let (version, is_there) = self.truth.entry(key).or_default();
        if self.dice.below(6) == 0 {
            *is_there = false;
            self.index.lock().remove(tenant.id, &name(key.1), u64::MAX);
            _ = self.appender.gone(&tenant.name, &name(key.1)); // it may fail: that is the point
            return;
        }
        *version += 1;
        *is_there = true;
        let bytes = bytes(key, *version);
        let mut draft = self.arena.draft(bytes.len()).unwrap();
        draft.copy_from(&bytes);
        let stored = Stored {
            block: draft.finish().unwrap(),
            attributes: Attributes::None,
        };
        let id = (tenant.id, tenant.name.as_str());
        _ = self.appender.put(id, &name(key.1), &stored, 0);
        if self.dice.below(20) == 0 {
            _ = self.appender.sync();
        }
    }

    /// The version of what a key gives; none other than those that were put is ever given.
    fn version_of(&mut self, key: Key) -> Option<u64> {
        self.reads += 1;
        let tenant = self.tenants[key.0].id;
        let (place, file) = {
            let mut index = self.index.lock();
            let place = index.find(tenant, &name(key.1), 0)?;
            let file = index.file(place.segment)?;
            (place, file)
        };
        let draft = self.arena.draft(usize::try_from(place.len).unwrap())?;
        let block = fetch(&*file, &place, draft).ok()??;
        let got: Vec<u8> = block
            .slices(0, block.len())
            .flat_map(|slice| slice.to_vec())
            .collect();
        let put = self.truth.get(&key).map_or(0, |(version, _)| *version);
        let version = (1..=put).rev().find(|version| bytes(key, *version) == got);
        assert!(version.is_some(), "wrong bytes under {key:?}");
        self.hits += 1;
        version
    }

    pub(super) fn read(&mut self) {
        let key = self.key();
        self.version_of(key);
    }

    pub(super) fn read_all(&mut self) {
        for tenant in 0..2 {
            for number in 0..KEYS {
                self.version_of((tenant, number));
            }
        }
    }

    /// Without faults: the last version, unless its segment was dropped; nothing once it is gone.
    pub(super) fn read_strictly(&mut self) {
        let key = self.key();
        let found = self.version_of(key);
        let (version, is_there) = self.truth.get(&key).copied().unwrap_or_default();
        if found.is_some() || self.bytes() + 2 * SEGMENT < DISK {
            assert_eq!(found, is_there.then_some(version), "{key:?}");
        }
    }

    /// The process is killed and started again.
    pub(super) fn restart(&mut self) {
        (self.index, self.appender) = recovered(&self.disk, &self.namespaces);
    }

    /// The machine loses power, and is started again.
    pub(super) fn power_cut(&mut self) {
        self.disk.power_cut();
        self.restart();
    }

    pub(super) fn damage(&mut self) {
        self.disk.damage();
    }

    pub(super) fn faults(&self) -> u64 {
        self.disk.faults()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.index.lock().bytes()
    }

    pub(super) fn blocks(&self) -> usize {
        self.index.lock().len()
    }
}
