//! Puts, deletes and reads over a simulated disk, beside what was really put.

use super::simulated::{Dice, Disk, Faults};
use crate::{
    Namespace, Namespaces,
    catalog::{Attributes, Stored},
    disk::{Appender, Bounds, Device, Index, fetch::fetch, recover::recover},
    memory::Arena,
};
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::{io, sync::Arc};

pub(super) const BOUNDS: Bounds = Bounds {
    segment_bytes: 512 << 10,
    disk_bytes: 4 << 20,
    index_bytes: 1 << 20,
};
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
    /// Versions that were put of each key so far, and what must be there.
    truth: HashMap<Key, (u64, Promise)>,
    pub(super) reads: u64,
    pub(super) hits: u64,
}

/// What a key must give.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Promise {
    /// Nothing.
    #[default]
    Gone,
    /// Its last version, or nothing where its segment went.
    Kept,
    /// The process was killed meanwhile: what was before or what would be.
    Open,
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

/// What a start does.
fn started(
    disk: &Arc<Disk>,
    namespaces: &Namespaces,
) -> io::Result<(Arc<Mutex<Index>>, Appender, u64)> {
    let mut index = Index::default();
    let device: Arc<dyn Device> = Arc::clone(disk) as Arc<dyn Device>;
    let found = recover(&*device, &mut index, namespaces)?;
    let index = Arc::new(Mutex::new(index));
    let next = (found.next_segment, found.next_serial);
    let mut appender = Appender::new(device, Arc::clone(&index), BOUNDS, next);
    for stale in &found.stale {
        appender.kill(stale)?;
    }
    appender.fit()?;
    Ok((index, appender, found.broken))
}

impl World {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        let disk = Arc::new(Disk::new(seed, Faults::none()));
        let namespaces = Namespaces::default();
        let tenants = ["a", "b"].map(|name| namespaces.open(name, None).unwrap());
        let (index, appender, _) = started(&disk, &namespaces).unwrap();
        disk.set_faults(faults);
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
        let delete = self.dice.below(6) == 0;
        let done = if delete {
            self.delete(key)
        } else {
            self.put(key)
        };
        let (_, promise) = self.truth.entry(key).or_default();
        *promise = match done {
            Err(_) => Promise::Open,
            Ok(()) if delete => Promise::Gone,
            Ok(()) => Promise::Kept,
        };
        if self.dice.below(20) == 0 {
            _ = self.appender.sync(); // it may fail: that is the point
        }
    }

    fn delete(&mut self, key: Key) -> io::Result<()> {
        let tenant = self.tenants[key.0].id;
        let place = self.index.lock().remove(tenant, &name(key.1), u64::MAX);
        place.map_or(Ok(()), |place| self.appender.kill(&place))
    }

    fn put(&mut self, key: Key) -> io::Result<()> {
        let (version, _) = self.truth.entry(key).or_default();
        *version += 1;
        let bytes = bytes(key, *version);
        let mut draft = self.arena.draft(bytes.len()).unwrap();
        draft.copy_from(&bytes);
        let stored = Stored {
            block: draft.finish().unwrap(),
            attributes: Attributes::None,
        };
        let (tenant, name) = (Arc::clone(&self.tenants[key.0]), name(key.1));
        let place = self.appender.put(&tenant.name, &name, &stored, 0)?;
        let before = self.index.lock().insert(tenant.id, &name, &place);
        before.map_or(Ok(()), |before| self.appender.kill(&before))
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

    /// Without faults but kills: the last version that was acknowledged, or nothing where its segment
    /// was dropped; nothing once it is gone.
    pub(super) fn read_all_strictly(&mut self) {
        for key in (0..2).flat_map(|tenant| (0..KEYS).map(move |number| (tenant, number))) {
            let found = self.version_of(key);
            let (version, promise) = self.truth.get(&key).copied().unwrap_or_default();
            let is_full = self.bytes() + 2 * BOUNDS.segment_bytes >= BOUNDS.disk_bytes;
            let holds = match promise {
                Promise::Open => true,
                Promise::Gone => found.is_none(),
                Promise::Kept => found == Some(version) || found.is_none() && is_full,
            };
            assert!(holds, "{key:?}: {found:?} of {version}, {promise:?}");
        }
    }

    /// The process is killed and started again.
    pub(super) fn restart(&mut self) {
        self.disk.revive();
        // A start meets the same faults, and is tried again as whoever runs it would.
        let (index, appender, _) = (0..1000)
            .find_map(|_| started(&self.disk, &self.namespaces).ok())
            .expect("a start");
        (self.index, self.appender) = (index, appender);
    }

    /// The disk works again for a while, in which the process syncs, ends and is started again, and all is
    /// read.
    pub(super) fn repair(&mut self) {
        let faults = self.disk.set_faults(Faults::none());
        self.appender.sync().unwrap();
        self.restart();
        self.read_all_strictly();
        self.disk.set_faults(faults);
    }

    /// The process is killed after so many more calls of the device, whatever it does then, and the next
    /// ones after as many while they start.
    pub(super) fn kill_after(&mut self, calls: u64) {
        self.disk.kill_after(calls);
        while !self.disk.is_dead() {
            self.put_or_delete();
        }
        for _ in 0..2 {
            self.disk.kill_after(calls);
            _ = started(&self.disk, &self.namespaces); // it dies in the middle, or not
        }
        self.restart();
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

    /// Bytes of all files, known or not.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.disk.bytes()
    }

    pub(super) fn blocks(&self) -> usize {
        self.index.lock().len()
    }
}
