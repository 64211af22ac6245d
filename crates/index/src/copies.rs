//! Second and further copies of a block with one holder. Engines tell of each copy that they store
//! and drop; the block stays until the last is gone.

use hashbrown::HashMap;
use onefill_kv::{ReplicaId, Tier};

use crate::hasher::BuildFold;
use crate::names::Place;
use crate::run::Holder;

/// Copies beyond the first, for the few blocks that have any.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    more: HashMap<u64, u8, BuildFold>,
}

fn key(place: Place, holder: Holder) -> u64 {
    let who = u64::from(holder.replica.0) << 2 | holder.tier as u64;
    who << 40 | u64::from(place.at) << 24 | u64::from(place.run)
}

impl Copies {
    /// One more copy; at 255 it stays.
    pub(crate) fn add(&mut self, place: Place, holder: Holder) {
        let more = self.more.entry(key(place, holder)).or_insert(0);
        *more = more.saturating_add(1);
    }

    /// One copy less; false if there was none beyond the first.
    pub(crate) fn take(&mut self, place: Place, holder: Holder) -> bool {
        let key = key(place, holder);
        let Some(more) = self.more.get_mut(&key) else {
            return false;
        };
        *more -= 1;
        if *more == 0 {
            self.more.remove(&key);
        }
        true
    }

    /// Forgets all copies beyond the first.
    pub(crate) fn forget(&mut self, place: Place, holder: Holder) {
        self.more.remove(&key(place, holder));
    }

    /// All blocks with more than one copy, their holders, and how many beyond the first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Place, Holder, u8)> {
        self.more.iter().map(|(key, more)| {
            let place = Place {
                run: *key as u32 & 0xff_ffff,
                at: (key >> 24) as u16,
            };
            let holder = Holder {
                replica: ReplicaId((key >> 42) as u16),
                tier: Tier::ALL[(key >> 40) as usize & 3],
            };
            (place, holder, *more)
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.more.allocation_size()
    }
}
