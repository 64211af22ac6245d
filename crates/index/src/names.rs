//! The fleet's one map from engine hash to place. Chained engine hashes agree between replicas, so
//! a block that forty replicas hold is named once; replicas that mean something else by a hash have
//! a map of their own ([`crate::aliases`]).
//!
//! Bits of a hash, mixed first: `shard | home:32 | tag:4 | not kept`. Shards have buckets of their
//! own ([`table`]); a bucket's slot keeps home and tag ([`bucket`]), so shards grow without the
//! hashes. Two hashes that share all kept bits are confused: at worst a block is believed missing,
//! because what is stored is checked by its key ([`crate::writer`]).

mod bucket;
mod table;

use std::ops::RangeInclusive;

use onefill_kv::EngineHash;

pub(crate) use bucket::Bucket;
use table::Table;

/// A block's place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Place {
    pub(crate) run: u32,
    pub(crate) at: u16,
}

const TAG_BITS: u32 = 4;

/// A hash, mixed and cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Name {
    shard: u32,
    home: u32,
    tag: u8,
}

impl Name {
    /// All that is kept of the hash.
    pub(crate) fn bits(self) -> u64 {
        let low = u64::from(self.home) << TAG_BITS | u64::from(self.tag);
        u64::from(self.shard) << (32 + TAG_BITS) | low
    }

    /// The name with these bits of a map of `2^saved` shards, in one of `2^own`, which are not more:
    /// fewer shards keep fewer bits. `None` where there is no such shard.
    pub(crate) fn from_bits(bits: u64, saved: u32, own: u32) -> Option<Self> {
        if bits >> (32 + TAG_BITS) >= 1 << saved {
            return None;
        }
        let bits = bits >> (saved - own);
        Some(Self {
            shard: (bits >> (32 + TAG_BITS)) as u32,
            home: (bits >> TAG_BITS) as u32,
            tag: bits as u8 & 0xf,
        })
    }
}

/// A slot's position, until the next name is put.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    shard: u32,
    bucket: u32,
    slot: u8,
}

/// What [`Names::put`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Put {
    /// The name is new.
    New,
    /// The name was known and means this place.
    Same,
    /// The name means another place.
    Other(Place),
}

/// The map.
#[derive(Debug)]
pub(crate) struct Names {
    table: Table,
    shards_log2: u32,
}

impl Names {
    /// A map of `2^shards_log2` shards.
    pub(crate) fn new(shards_log2: u32) -> Self {
        Self {
            table: Table::new(1 << shards_log2),
            shards_log2,
        }
    }

    /// Shards that there can be, as a power of two.
    pub(crate) const SHARDS_LOG2: RangeInclusive<u32> = 4..=12;

    /// Shards for an index of so many bytes: of some hundred KiB each when it is full.
    pub(crate) fn shards_log2_for(memory_bytes: usize) -> u32 {
        let (least, most) = Self::SHARDS_LOG2.into_inner();
        (memory_bytes >> 18).max(1).ilog2().clamp(least, most)
    }

    pub(crate) fn shards_log2(&self) -> u32 {
        self.shards_log2
    }

    /// Bytes taken from the system.
    pub(crate) fn bytes(&self) -> usize {
        self.table.bytes()
    }

    /// Bytes in use.
    pub(crate) fn used_bytes(&self) -> usize {
        self.table.used_bytes()
    }

    #[inline]
    pub(crate) fn name(&self, hash: EngineHash) -> Name {
        // Engines may count instead of hash: spread what they say (murmur3's finalizer, half).
        let mut bits = hash.0 ^ (hash.0 >> 32);
        bits = bits.wrapping_mul(0xd6e8_feb8_6659_fd93);
        bits ^= bits >> 32;
        let shard = (bits >> (64 - self.shards_log2)) as u32;
        let rest = bits << self.shards_log2;
        Name {
            shard,
            home: (rest >> 32) as u32,
            tag: (rest >> (32 - TAG_BITS)) as u8 & 0xf,
        }
    }

    /// Starts bringing a name's bucket into the cache.
    #[inline]
    pub(crate) fn prefetch(&self, name: Name) {
        let bucket = self.table.home(name);
        crate::prefetch::line(self.table.bucket(bucket));
    }

    /// The first place that the name may mean and that `is` accepts.
    #[inline]
    pub(crate) fn find(&self, name: Name, is: impl Fn(Place) -> bool) -> Option<(Slot, Place)> {
        for number in self.table.path_of(name) {
            let bucket = self.table.bucket(number);
            for slot in bucket.slots_of(name) {
                let place = bucket.place(slot);
                if is(place) {
                    let slot = Slot {
                        shard: name.shard,
                        bucket: number as u32,
                        slot: slot as u8,
                    };
                    return Some((slot, place));
                }
            }
            if !bucket.is_crowded() {
                return None;
            }
        }
        None
    }

    /// Names `place`, unless the name is taken by a place that `is_live`.
    #[inline]
    pub(crate) fn put(&mut self, name: Name, place: Place, is_live: impl Fn(Place) -> bool) -> Put {
        self.table.make_room(name.shard);
        if self.table.insert_at_home(name, place) {
            return Put::New;
        }
        match self.find(name, |_| true) {
            None => {
                self.table.insert(name, place);
                Put::New
            }
            Some((_, same)) if same == place => Put::Same,
            Some((slot, other)) => {
                if is_live(other) {
                    return Put::Other(other);
                }
                self.set(slot, name, place);
                Put::New
            }
        }
    }

    /// Makes a slot mean another place.
    pub(crate) fn set(&mut self, slot: Slot, name: Name, place: Place) {
        self.table
            .bucket_mut(slot.bucket as usize)
            .fill(slot.slot.into(), name, place);
    }

    #[inline]
    pub(crate) fn remove(&mut self, slot: Slot) {
        self.table
            .bucket_mut(slot.bucket as usize)
            .clear(slot.slot.into());
        self.table.count_out(slot.shard as usize, 1);
    }

    /// Drops the names of places that are not `is_live`; shrinks what has become too large.
    pub(crate) fn retain(&mut self, is_live: impl Fn(Place) -> bool) {
        self.table.retain(is_live);
    }

    /// All names with their places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Name, Place)> {
        self.table.iter()
    }
}

#[cfg(test)]
mod tests;
