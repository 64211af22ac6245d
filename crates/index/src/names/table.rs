//! Buckets in one stretch of large pages: shards of equal size, one behind the other.
//!
//! It grows by half, shard by shard from the last to the first, each moving up to where it will
//! stand in the larger stretch: what lies above it has moved before. So there is never a second copy,
//! nothing to give back, and no insertion pays for more than a shard.

use super::bucket::{Bucket, EMPTY, SLOTS};
use super::{Name, Place};
use crate::pages::{self, PIECE_BYTES, Piece};

const PIECE_BUCKETS: usize = PIECE_BYTES / size_of::<Bucket>();
/// Of a hundred slots, those in use when a table begins to grow, and so many more when it is done.
/// Shards differ by chance: the fullest is then still not full.
const GROW_AT: usize = 82;
const GROW_WITHIN: usize = 6;
/// Of a hundred slots, those in use below which a table shrinks, and how many are then.
const SHRINK_AT: usize = 33;
const SHRINK_TO: usize = 66;

/// A shard is tidied for so many shards full of names that are taken out.
const TIDY_EVERY: usize = 2;

type Pieces = Vec<Option<Box<Piece<Bucket, PIECE_BUCKETS>>>>;

#[derive(Debug)]
pub(super) struct Table {
    pieces: Pieces,
    /// Buckets of a shard that has not moved.
    size: usize,
    /// Buckets of one that has; the same where nothing grows.
    next_size: usize,
    /// Shards from here on have moved.
    moved_from: usize,
    /// Names of each shard.
    counts: Box<[u32]>,
    names: usize,
    /// Names at which the next shard moves.
    step_at: usize,
    /// Names taken out since a shard was last tidied, and the shard whose turn is next.
    taken_out: usize,
    untidy: usize,
    /// A shard's buckets while it moves.
    moving: Vec<Bucket>,
}

impl Table {
    pub(super) fn new(shards: usize) -> Self {
        Self {
            pieces: Vec::new(),
            size: 0,
            next_size: 0,
            moved_from: shards,
            counts: vec![0; shards].into(),
            names: 0,
            step_at: 0,
            taken_out: 0,
            untidy: 0,
            moving: Vec::new(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let pieces = self.pieces.iter().flatten().count() * PIECE_BYTES;
        pieces + self.own_bytes()
    }

    pub(super) fn used_bytes(&self) -> usize {
        let moved = self.counts.len() - self.moved_from;
        let buckets = self.moved_from * self.size + moved * self.next_size;
        buckets * size_of::<Bucket>() + self.own_bytes()
    }

    fn own_bytes(&self) -> usize {
        size_of_val(&*self.counts)
            + self.pieces.capacity() * size_of::<usize>()
            + self.moving.capacity() * size_of::<Bucket>()
    }

    #[inline]
    fn size_of(&self, shard: usize) -> usize {
        if shard >= self.moved_from {
            self.next_size
        } else {
            self.size
        }
    }

    /// The bucket that a name belongs into.
    #[inline]
    pub(super) fn home(&self, name: Name) -> usize {
        let (shard, size) = (name.shard as usize, self.size_of(name.shard as usize));
        shard * size + home_in(name, size)
    }

    /// All buckets of the name's shard, from its home on.
    #[inline]
    pub(super) fn path_of(&self, name: Name) -> impl Iterator<Item = usize> + use<> {
        let (shard, size) = (name.shard as usize, self.size_of(name.shard as usize));
        let (first, home) = (shard * size, home_in(name, size));
        (home..size).chain(0..home).map(move |at| first + at)
    }

    #[inline]
    pub(super) fn bucket(&self, number: usize) -> &Bucket {
        match self.pieces.get(number / PIECE_BUCKETS) {
            Some(Some(piece)) => &piece.0[number % PIECE_BUCKETS],
            _ => &EMPTY,
        }
    }

    #[inline]
    pub(super) fn bucket_mut(&mut self, number: usize) -> &mut Bucket {
        bucket_mut(&mut self.pieces, number)
    }

    /// Makes room for a name more in a shard. Slots found before may mean something else.
    #[inline]
    pub(super) fn make_room(&mut self, shard: u32) {
        while self.names >= self.step_at || self.is_full(shard as usize) {
            self.step();
        }
        if self.taken_out > TIDY_EVERY * SLOTS * self.size {
            self.tidy();
        }
    }

    /// Puts a name at home, if it is not there, could be nowhere else and there is a slot. There is
    /// [room](Self::make_room) in the shard.
    #[inline]
    pub(super) fn insert_at_home(&mut self, name: Name, place: Place) -> bool {
        let home = self.home(name);
        let bucket = bucket_mut(&mut self.pieces, home);
        if bucket.is_crowded() || bucket.slots_of(name).next().is_some() {
            return false;
        }
        let Some(free) = bucket.free_slot() else {
            return false;
        };
        bucket.fill(free, name, place);
        self.count_in(name.shard);
        true
    }

    /// Puts a name that is not there yet; there is [room](Self::make_room) in the shard.
    pub(super) fn insert(&mut self, name: Name, place: Place) {
        for number in self.path_of(name) {
            let bucket = bucket_mut(&mut self.pieces, number);
            if let Some(free) = bucket.free_slot() {
                bucket.fill(free, name, place);
                break;
            }
            bucket.crowd();
        }
        self.count_in(name.shard);
    }

    #[inline]
    fn count_in(&mut self, shard: u32) {
        self.counts[shard as usize] += 1;
        self.names += 1;
    }

    #[inline]
    fn is_full(&self, shard: usize) -> bool {
        self.counts[shard] as usize >= SLOTS * self.size_of(shard)
    }

    pub(super) fn count_out(&mut self, shard: usize, names: u32) {
        self.counts[shard] -= names;
        self.names -= names as usize;
        self.taken_out += names as usize;
    }

    /// Puts one shard's names anew: what stood further on for want of room may find it at home, and
    /// is no longer looked for elsewhere. Else, where names come and go, all would be some day.
    #[cold]
    fn tidy(&mut self) {
        self.taken_out = 0;
        self.untidy = (self.untidy + 1) % self.counts.len();
        let size = self.size_of(self.untidy);
        self.relocate(self.untidy, size, size);
    }

    /// Moves one shard.
    #[cold]
    fn step(&mut self) {
        if self.next_size == self.size {
            self.next_size = (self.size + 1).max(self.size + self.size / 2);
            self.moved_from = self.counts.len();
        }
        let shard = self.moved_from - 1;
        self.relocate(shard, self.size, self.next_size);
        self.moved_from = shard;
        self.step_at = self.names + self.size * SLOTS * GROW_WITHIN / 100;
        if shard == 0 {
            self.size = self.next_size;
            self.moved_from = self.counts.len();
            self.step_at = self.slots() * GROW_AT / 100;
        }
    }

    fn slots(&self) -> usize {
        self.counts.len() * self.size * SLOTS
    }

    /// Moves a shard from where it stands among shards of size `from` to where it stands among those
    /// of size `to`. The new buckets are made aside, since they may lie over the old ones.
    fn relocate(&mut self, shard: usize, from: usize, to: usize) {
        let mut moving = std::mem::take(&mut self.moving);
        moving.clear();
        moving.resize(to, EMPTY);
        for number in shard * from..(shard + 1) * from {
            let bucket = self.bucket(number);
            for slot in bucket.slots() {
                let name = bucket.name(shard as u32, slot);
                let free = free_in(&mut moving, home_in(name, to));
                moving[free.0].fill(free.1, name, bucket.place(slot));
            }
        }
        for (number, bucket) in (shard * to..).zip(&moving) {
            *self.bucket_mut(number) = *bucket;
        }
        self.moving = moving;
    }

    pub(super) fn retain(&mut self, is_live: impl Fn(Place) -> bool) {
        while self.next_size != self.size {
            self.step();
        }
        for shard in 0..self.counts.len() {
            for number in shard * self.size..(shard + 1) * self.size {
                let bucket = self.bucket_mut(number);
                let mut gone = 0;
                for slot in bucket.slots() {
                    if !is_live(bucket.place(slot)) {
                        bucket.clear(slot);
                        gone += 1;
                    }
                }
                self.count_out(shard, gone);
            }
        }
        if self.names < self.slots() * SHRINK_AT / 100 {
            self.shrink();
        }
    }

    /// Moves all shards down, the first one first.
    fn shrink(&mut self) {
        let fullest = self.counts.iter().max().copied().unwrap_or(0) as usize;
        let shards = self.counts.len();
        let roomy = (self.names * 100).div_ceil(shards * SLOTS * SHRINK_TO);
        let to = roomy.max(fullest / SLOTS + 1).min(self.size);
        (0..shards).for_each(|shard| self.relocate(shard, self.size, to));
        (self.size, self.next_size) = (to, to);
        self.pieces.truncate((shards * to).div_ceil(PIECE_BUCKETS));
        self.step_at = self.slots() * GROW_AT / 100;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Name, Place)> {
        (0..self.counts.len()).flat_map(move |shard| {
            let size = self.size_of(shard);
            let buckets = (shard * size..(shard + 1) * size).map(|number| self.bucket(number));
            buckets.flat_map(move |bucket| {
                let both = move |slot| (bucket.name(shard as u32, slot), bucket.place(slot));
                bucket.slots().map(both)
            })
        })
    }
}

#[inline]
fn home_in(name: Name, size: usize) -> usize {
    ((u64::from(name.home) * size as u64) >> 32) as usize
}

#[inline]
fn bucket_mut(pieces: &mut Pieces, number: usize) -> &mut Bucket {
    let piece = number / PIECE_BUCKETS;
    if piece >= pieces.len() {
        pieces.resize_with(piece + 1, || None);
    }
    let piece = pieces[piece].get_or_insert_with(pages::zeros);
    &mut piece.0[number % PIECE_BUCKETS]
}

/// A free slot in the bucket `home` or the nearest one after it; those between are crowded.
#[inline]
fn free_in(buckets: &mut [Bucket], home: usize) -> (usize, usize) {
    let mut at = home;
    loop {
        if let Some(slot) = buckets[at].free_slot() {
            return (at, slot);
        }
        buckets[at].crowd();
        at = if at + 1 == buckets.len() { 0 } else { at + 1 };
    }
}
