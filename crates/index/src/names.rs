//! The fleet's one map from engine hash to place. Chained engine hashes agree between replicas, so
//! a block that forty replicas hold is named once; replicas that mean something else by a hash have
//! a map of their own ([`crate::aliases`]).
//!
//! Bits of a hash, mixed first: `shard | home:32 | tag:4 | not kept`. A bucket is one cache line of
//! seven slots of nine bytes; a slot keeps home and tag, so a shard grows (by half) without the
//! hashes. Two hashes that share all kept bits are confused: at worst a block is believed missing,
//! because what is stored is checked by its key ([`crate::writer`]).

use onefill_kv::EngineHash;

/// A block's place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Place {
    pub(crate) run: u32,
    pub(crate) at: u16,
}

const SLOTS: usize = 7;
const CROWDED: u8 = 1 << SLOTS;
const TAG_BITS: u32 = 4;
/// Buckets of a shard that has just got its first name; up to half as many more.
const FIRST_BUCKETS: usize = 8;

/// Seven slots.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Bucket {
    home: [u32; SLOTS],
    /// `run:24 | at:8`, the low bits of `at`.
    place: [u32; SLOTS],
    /// `at:4 | tag:4`, the high bits of `at`.
    rest: [u8; SLOTS],
    /// Slots in use, and whether a slot that belongs here stands further on.
    used: u8,
}

const EMPTY: Bucket = Bucket {
    home: [0; SLOTS],
    place: [0; SLOTS],
    rest: [0; SLOTS],
    used: 0,
};

/// A hash, mixed and cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Name {
    shard: u32,
    home: u32,
    tag: u8,
}

/// A slot's position.
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

impl Bucket {
    #[inline]
    fn matches(&self, name: Name) -> u8 {
        let mut found = 0;
        for slot in 0..SLOTS {
            found |= u8::from(self.home[slot] == name.home) << slot;
        }
        found &= self.used;
        if found != 0 {
            for slot in 0..SLOTS {
                found &= !(u8::from(self.rest[slot] & 0xf != name.tag) << slot);
            }
        }
        found & !CROWDED
    }

    fn place(&self, slot: usize) -> Place {
        let low = self.place[slot];
        Place {
            run: low >> 8,
            at: (low & 0xff) as u16 | u16::from(self.rest[slot] >> 4) << 8,
        }
    }

    fn name(&self, shard: u32, slot: usize) -> Name {
        Name {
            shard,
            home: self.home[slot],
            tag: self.rest[slot] & 0xf,
        }
    }

    #[inline]
    fn fill(&mut self, slot: usize, name: Name, place: Place) {
        self.home[slot] = name.home;
        self.place[slot] = place.run << 8 | u32::from(place.at & 0xff);
        self.rest[slot] = ((place.at >> 8) as u8) << 4 | name.tag;
        self.used |= 1 << slot;
    }
}

#[derive(Debug, Default)]
struct Shard {
    buckets: Vec<Bucket>,
    names: u32,
}

impl Shard {
    #[inline]
    fn home(&self, name: Name) -> usize {
        ((u64::from(name.home) * self.buckets.len() as u64) >> 32) as usize
    }

    fn next(&self, bucket: usize) -> usize {
        if bucket + 1 == self.buckets.len() {
            0
        } else {
            bucket + 1
        }
    }

    /// Puts a name that is not there yet.
    #[inline]
    fn insert(&mut self, name: Name, place: Place) {
        let mut at = self.home(name);
        loop {
            let bucket = &mut self.buckets[at];
            let free = (!bucket.used).trailing_zeros() as usize;
            if free < SLOTS {
                bucket.fill(free, name, place);
                self.names += 1;
                return;
            }
            bucket.used |= CROWDED;
            at = self.next(at);
        }
    }

    fn is_full(&self) -> bool {
        // 6/7 of all slots
        self.names as usize >= self.buckets.len() * (SLOTS - 1)
    }

    fn rebuild(&mut self, buckets: usize) {
        let old = std::mem::replace(&mut self.buckets, vec![EMPTY; buckets]);
        self.names = 0;
        for bucket in &old {
            let mut used = bucket.used & !CROWDED;
            while used != 0 {
                let slot = used.trailing_zeros() as usize;
                used &= used - 1;
                self.insert(bucket.name(0, slot), bucket.place(slot));
            }
        }
    }
}

/// The map.
#[derive(Debug)]
pub(crate) struct Names {
    shards: Vec<Shard>,
    shard_bits: u32,
    buckets: usize,
}

impl Names {
    /// A map of `2^shard_bits` shards, for names of up to `memory_bytes`.
    pub(crate) fn new(shard_bits: u32) -> Self {
        let shards = (0..1_u32 << shard_bits).map(|_| Shard::default()).collect();
        Self {
            shards,
            shard_bits,
            buckets: 0,
        }
    }

    /// Shards for an index of so many bytes: of a few hundred KiB each when it is full.
    pub(crate) fn shard_bits(memory_bytes: usize) -> u32 {
        (memory_bytes >> 18).max(1).ilog2().clamp(4, 12)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.buckets * size_of::<Bucket>() + self.shards.len() * size_of::<Shard>()
    }

    #[inline]
    pub(crate) fn name(&self, hash: EngineHash) -> Name {
        // Engines may count instead of hash: spread what they say (murmur3's finalizer, half).
        let mut bits = hash.0 ^ (hash.0 >> 32);
        bits = bits.wrapping_mul(0xd6e8_feb8_6659_fd93);
        bits ^= bits >> 32;
        let shard = (bits >> (64 - self.shard_bits)) as u32;
        let rest = bits << self.shard_bits;
        Name {
            shard,
            home: (rest >> 32) as u32,
            tag: (rest >> (32 - TAG_BITS)) as u8 & 0xf,
        }
    }

    /// Starts bringing a name's bucket into the cache.
    #[inline]
    pub(crate) fn prefetch(&self, name: Name) {
        let shard = &self.shards[name.shard as usize];
        if let Some(bucket) = shard.buckets.get(shard.home(name)) {
            crate::prefetch::line(bucket);
        }
    }

    /// The first place that the name may mean and that `is` accepts.
    #[inline]
    pub(crate) fn find(&self, name: Name, is: impl Fn(Place) -> bool) -> Option<(Slot, Place)> {
        let shard = &self.shards[name.shard as usize];
        if shard.buckets.is_empty() {
            return None;
        }
        let mut at = shard.home(name);
        for _ in 0..shard.buckets.len() {
            let bucket = &shard.buckets[at];
            let mut found = bucket.matches(name);
            while found != 0 {
                let slot = found.trailing_zeros() as usize;
                let place = bucket.place(slot);
                if is(place) {
                    let slot = Slot {
                        shard: name.shard,
                        bucket: at as u32,
                        slot: slot as u8,
                    };
                    return Some((slot, place));
                }
                found &= found - 1;
            }
            if bucket.used & CROWDED == 0 {
                return None;
            }
            at = shard.next(at);
        }
        None
    }

    /// Names `place`, unless the name is taken by a place that `is_live`.
    #[inline]
    pub(crate) fn put(&mut self, name: Name, place: Place, is_live: impl Fn(Place) -> bool) -> Put {
        match self.find(name, |_| true) {
            None => {
                self.insert(name, place);
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
        let bucket = &mut self.shards[slot.shard as usize].buckets[slot.bucket as usize];
        bucket.fill(slot.slot.into(), name, place);
    }

    pub(crate) fn insert(&mut self, name: Name, place: Place) {
        if self.shards[name.shard as usize].is_full() {
            self.grow(name.shard);
        }
        self.shards[name.shard as usize].insert(name, place);
    }

    /// Makes a shard half as large again. Hashes fill all shards alike: the first sizes differ, so
    /// that they don't all grow at once.
    #[cold]
    fn grow(&mut self, number: u32) {
        let shards = self.shards.len();
        let shard = &mut self.shards[number as usize];
        let buckets = match shard.buckets.len() {
            0 => FIRST_BUCKETS + FIRST_BUCKETS / 2 * number as usize / shards,
            before => before + before / 2,
        };
        self.buckets += buckets - shard.buckets.len();
        shard.rebuild(buckets);
    }

    #[inline]
    pub(crate) fn remove(&mut self, slot: Slot) {
        let shard = &mut self.shards[slot.shard as usize];
        shard.buckets[slot.bucket as usize].used &= !(1 << slot.slot);
        shard.names -= 1;
    }

    /// Drops the names of places that are not `is_live`; shrinks what has become too large.
    pub(crate) fn retain(&mut self, is_live: impl Fn(Place) -> bool) {
        for shard in &mut self.shards {
            for bucket in &mut shard.buckets {
                for slot in 0..SLOTS {
                    if bucket.used & 1 << slot != 0 && !is_live(bucket.place(slot)) {
                        bucket.used &= !(1 << slot);
                        shard.names -= 1;
                    }
                }
            }
            let needed = (shard.names as usize).div_ceil(SLOTS - 2);
            if needed * 2 < shard.buckets.len() && needed >= FIRST_BUCKETS {
                self.buckets -= shard.buckets.len() - needed;
                shard.rebuild(needed);
            }
        }
    }

    /// All names with their places.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Name, Place)> {
        self.shards.iter().zip(0..).flat_map(|(shard, number)| {
            let slots = shard
                .buckets
                .iter()
                .flat_map(|bucket| (0..SLOTS).map(move |at| (bucket, at)));
            let used = slots.filter(|(bucket, at)| bucket.used & 1 << at != 0);
            used.map(move |(bucket, at)| (bucket.name(number, at), bucket.place(at)))
        })
    }
}
