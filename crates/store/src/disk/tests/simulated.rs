//! A disk in memory that fails, tears, loses and flips.

use crate::disk::{Device, SegmentFile, format::ALIGN};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    io::{self, IoSlice},
    sync::Arc,
};

/// Which faults happen by themselves; a part of a thousand each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Faults {
    pub(super) eio: u64,
    pub(super) full: u64,
    pub(super) torn: u64,
    pub(super) lost: u64,
}

impl Faults {
    pub(super) fn none() -> Self {
        Self {
            eio: 0,
            full: 0,
            torn: 0,
            lost: 0,
        }
    }

    pub(super) fn all() -> Self {
        Self {
            eio: 20,
            full: 20,
            torn: 20,
            lost: 10,
        }
    }
}

/// xorshift64*: seeded, so that a failing world can be had again.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end.max(1)
    }

    fn hits(&mut self, of_thousand: u64) -> bool {
        self.below(1000) < of_thousand
    }
}

#[derive(Debug, Default)]
struct Bytes {
    now: Vec<u8>,
    /// What lay there before each write that was not synced.
    unsynced: Vec<(usize, Vec<u8>)>,
}

#[derive(Debug)]
pub(super) struct Disk {
    files: Mutex<BTreeMap<u64, Arc<File>>>,
    chance: Arc<Mutex<Chance>>,
}

#[derive(Debug)]
pub(super) struct Chance {
    dice: Dice,
    faults: Faults,
    count: u64,
    /// Calls that are left before the process is killed.
    left: Option<u64>,
}

impl Chance {
    /// The process lives, and the device does not refuse.
    fn call(&mut self) -> io::Result<()> {
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                return Err(io::Error::other("killed"));
            }
        }
        if self.dice.hits(self.faults.eio) {
            self.count += 1;
            return Err(io::Error::other("EIO"));
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct File {
    bytes: Mutex<Bytes>,
    chance: Arc<Mutex<Chance>>,
}

impl Disk {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        let dice = Dice::new(seed);
        Self {
            files: Mutex::default(),
            chance: Arc::new(Mutex::new(Chance {
                dice,
                faults,
                count: 0,
                left: None,
            })),
        }
    }

    pub(super) fn faults(&self) -> u64 {
        self.chance.lock().count
    }

    /// Other faults from here on; those that were.
    pub(super) fn set_faults(&self, faults: Faults) -> Faults {
        std::mem::replace(&mut self.chance.lock().faults, faults)
    }

    /// The process is killed within so many calls: none after it does anything.
    pub(super) fn kill_after(&self, calls: u64) {
        self.chance.lock().left = Some(calls.max(1));
    }

    pub(super) fn is_dead(&self) -> bool {
        self.chance.lock().left == Some(0)
    }

    /// Another process runs.
    pub(super) fn revive(&self) {
        let mut chance = self.chance.lock();
        chance.count += u64::from(chance.left.take().is_some());
    }

    pub(super) fn bytes(&self) -> u64 {
        let files = self.files.lock();
        files
            .values()
            .map(|file| file.bytes.lock().now.len() as u64)
            .sum()
    }

    /// What was not synced is there, or not, or in part, sector by sector.
    pub(super) fn power_cut(&self) {
        let mut chance = self.chance.lock();
        for file in self.files.lock().values() {
            let mut bytes = file.bytes.lock();
            let unsynced = std::mem::take(&mut bytes.unsynced);
            for (at, before) in unsynced.into_iter().rev() {
                for (index, sector) in before.chunks(ALIGN).enumerate() {
                    if chance.dice.below(8) == 0 {
                        let at = at + index * ALIGN;
                        bytes.now[at..at + sector.len()].copy_from_slice(sector);
                        chance.count += 1;
                    }
                }
            }
        }
    }

    /// Flips bits, cuts files short, and copies stretches over others.
    pub(super) fn damage(&self) {
        let mut chance = self.chance.lock();
        let files: Vec<Arc<File>> = self.files.lock().values().cloned().collect();
        for file in &files {
            let mut bytes = file.bytes.lock();
            let len = bytes.now.len() as u64;
            if len == 0 {
                continue;
            }
            let sector = |chance: &mut Chance| {
                usize::try_from(chance.dice.below(len / ALIGN as u64)).unwrap() * ALIGN
            };
            for _ in 0..12 {
                let bit = chance.dice.below(len * 8);
                bytes.now[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
            }
            // A record may land where another one was.
            for _ in 0..2 {
                let (from, to) = (sector(&mut chance), sector(&mut chance));
                let count = (4 * ALIGN).min(bytes.now.len() - from.max(to));
                bytes.now.copy_within(from..from + count, to);
            }
            chance.count += 14;
            if chance.dice.below(30) == 0 {
                let cut = usize::try_from(chance.dice.below(len)).unwrap();
                bytes.now.truncate(cut);
                bytes.unsynced.clear();
                chance.count += 1;
            }
        }
    }
}

impl Device for Disk {
    fn list(&self) -> io::Result<Vec<u64>> {
        self.chance.lock().call()?;
        Ok(self.files.lock().keys().copied().collect())
    }

    fn create(&self, id: u64, _: u64) -> io::Result<Arc<dyn SegmentFile>> {
        self.chance.lock().call()?;
        let file = Arc::new(File {
            bytes: Mutex::default(),
            chance: Arc::clone(&self.chance),
        });
        let before = self.files.lock().insert(id, Arc::clone(&file));
        assert!(before.is_none(), "segment {id} was written over");
        Ok(file)
    }

    fn open(&self, id: u64) -> io::Result<Arc<dyn SegmentFile>> {
        self.chance.lock().call()?;
        let files = self.files.lock();
        let file = files.get(&id).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::clone(file) as Arc<dyn SegmentFile>)
    }

    fn remove(&self, id: u64) -> io::Result<()> {
        self.chance.lock().call()?;
        self.files.lock().remove(&id);
        Ok(())
    }
}

impl SegmentFile for File {
    fn write_at(&self, offset: u64, slices: &[IoSlice<'_>]) -> io::Result<()> {
        let mut chance = self.chance.lock();
        let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        let faults = chance.faults;
        let (mut written, mut outcome) = (all.len(), Ok(()));
        let was_dead = chance.left == Some(0);
        if let Err(error) = chance.call() {
            // A kill comes in the middle of a write too.
            let torn = chance.left == Some(0) && !was_dead;
            let part = if torn {
                chance.dice.below(all.len() as u64)
            } else {
                0
            };
            (written, outcome) = (usize::try_from(part).unwrap(), Err(error));
        } else if chance.dice.hits(faults.full) {
            written = usize::try_from(chance.dice.below(all.len() as u64)).unwrap();
            outcome = Err(io::ErrorKind::StorageFull.into());
        } else if chance.dice.hits(faults.torn) {
            // It says that all is well.
            written = usize::try_from(chance.dice.below(all.len() as u64)).unwrap();
        } else if chance.dice.hits(faults.lost) {
            written = 0;
        }
        chance.count += u64::from(written < all.len());
        let at = usize::try_from(offset).unwrap();
        let mut bytes = self.bytes.lock();
        if bytes.now.len() < at + written {
            bytes.now.resize(at + written, 0);
        }
        let before = bytes.now[at..at + written].to_vec();
        bytes.now[at..at + written].copy_from_slice(&all[..written]);
        bytes.unsynced.push((at, before));
        outcome
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut chance = self.chance.lock();
        chance.call()?;
        let bytes = self.bytes.lock();
        let at = usize::try_from(offset).unwrap().min(bytes.now.len());
        let count = into.len().min(bytes.now.len() - at);
        into[..count].copy_from_slice(&bytes.now[at..at + count]);
        Ok(count)
    }

    fn sync(&self) -> io::Result<()> {
        self.chance.lock().call()?;
        self.bytes.lock().unsynced.clear();
        Ok(())
    }

    fn trim(&self) -> io::Result<()> {
        self.chance.lock().call()
    }

    fn size(&self) -> io::Result<u64> {
        self.chance.lock().call()?;
        Ok(self.bytes.lock().now.len() as u64)
    }
}
