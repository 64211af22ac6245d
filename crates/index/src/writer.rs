//! The index's writer: what engines say, put into runs.

mod one;
mod removal;
mod room;

use onefill_kv::{BlockKey, EngineHash, ReplicaId, Tier};

use crate::aliases::Aliases;
use crate::fresh::{FRESH_KEPT, Fresh, FreshName};
use crate::names::{Name, Names, Place, Put};
use crate::orphans::{Orphan, Orphans};
use crate::run::{HAUNTED, Holder, WARM};
use crate::runs::Runs;
use crate::shared::Shared;
use crate::{Block, IndexConfig, Parent, Stored};

/// Names looked up together: a cache miss each, that the machine serves side by side.
const AHEAD: usize = 8;

/// What a chain goes on from.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    key: BlockKey,
    /// `None`: the start of a chain.
    at: Option<Place>,
}

/// The writer's own state.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) runs: Runs,
    pub(crate) names: Names,
    pub(crate) aliases: Aliases,
    orphans: Orphans,
    fresh: Fresh,
    /// Parents that came while blocks waited for them.
    ready: Vec<(EngineHash, Place)>,
    /// Places that lost their last holder while blocks were being placed.
    unsettled: Vec<Place>,
    keys: Vec<BlockKey>,
    bytes_max: usize,
    /// Blocks to store before memory is looked at again.
    unchecked: u32,
    /// The eviction hand: a run's number.
    hand: u32,
    pub(crate) dropped: u64,
    pub(crate) refused: u64,
}

impl Writer {
    pub(crate) fn new(config: &IndexConfig, shards_log2: u32) -> Self {
        Self {
            runs: Runs::new(),
            names: Names::new(shards_log2),
            aliases: Aliases::new(),
            orphans: Orphans::new(config.orphan_bytes_max),
            fresh: Fresh::default(),
            ready: Vec::new(),
            unsettled: Vec::new(),
            keys: Vec::new(),
            bytes_max: config.memory_bytes_max,
            unchecked: 0,
            hand: 0,
            dropped: 0,
            refused: 0,
        }
    }

    pub(crate) fn orphans(&self) -> &Orphans {
        &self.orphans
    }

    /// See [`crate::IndexWriter::stored`].
    pub(crate) fn stored(
        &mut self,
        m: &Shared,
        holder: Holder,
        parent: Parent,
        blocks: &[Block],
    ) -> Stored {
        if usize::from(holder.replica.0) >= self.runs.held.len() {
            return self.refuse(blocks.len());
        }
        self.mind_room(m, blocks.len());
        let (anchor, missing) = match parent {
            Parent::Root(key) => (Some(Anchor { key, at: None }), None),
            Parent::UnknownRoot => (None, None),
            Parent::Hash(hash) => {
                if self.fresh.may_have(hash) {
                    self.put_fresh(m);
                }
                (self.anchor(m, holder.replica, hash), Some(hash))
            }
        };
        if let (Some(anchor), [block]) = (anchor, blocks)
            && self.unsettled.is_empty()
            && self.orphans.is_empty()
            && let Some(told) = self.place_one(m, holder, anchor, *block)
        {
            return told;
        }
        let mut told = match anchor {
            Some(anchor) => self.place(m, holder, anchor, blocks),
            None => self.place_unanchored(m, holder, missing, blocks),
        };
        told.placed += self.adopt(m);
        self.settle(m);
        told
    }

    /// Parks a block that was parked before a restart.
    pub(crate) fn repark(&mut self, parent: EngineHash, orphan: Orphan) {
        self.refused += u64::from(self.orphans.park(parent, orphan));
    }

    fn refuse(&mut self, blocks: usize) -> Stored {
        self.refused += blocks as u64;
        Stored {
            refused: blocks as u32,
            ..Stored::default()
        }
    }

    /// The block that `replica` means by a hash.
    #[inline]
    fn resolve(&self, m: &Shared, replica: ReplicaId, hash: EngineHash) -> Option<Place> {
        if let Some(place) = self.aliases.get(replica, hash) {
            return Some(place);
        }
        let estranged = self.aliases.is_estranged(replica);
        let means = |place| {
            Runs::is_live(m, place) && (!estranged || Self::holds_anywhere(m, place, replica))
        };
        self.names
            .find(self.names.name(hash), means)
            .map(|(_, place)| place)
    }

    fn holds_anywhere(m: &Shared, place: Place, replica: ReplicaId) -> bool {
        Tier::ALL
            .into_iter()
            .any(|tier| Runs::holds(m, place, Holder { replica, tier }))
    }

    #[inline]
    fn anchor(&self, m: &Shared, replica: ReplicaId, hash: EngineHash) -> Option<Anchor> {
        let place = self.resolve(m, replica, hash)?;
        Some(Anchor {
            key: Runs::key(m, place),
            at: Some(place),
        })
    }

    /// Places blocks after an anchor.
    fn place(&mut self, m: &Shared, holder: Holder, anchor: Anchor, blocks: &[Block]) -> Stored {
        let (mut anchor, mut rest) = (anchor, blocks);
        while let Some(first) = rest.first() {
            let key = anchor.key.extend(first.content);
            let placed = match Runs::follow(m, anchor.at, key) {
                Some(place) => Some(self.place_known(
                    m,
                    holder,
                    Anchor {
                        key,
                        at: Some(place),
                    },
                    rest,
                )),
                None => self.place_new(m, holder, anchor, rest),
            };
            let Some((last, count)) = placed else {
                break;
            };
            anchor = last;
            rest = rest.get(count..).unwrap_or_default();
        }
        let refused = self.refuse(rest.len()).refused;
        Stored {
            placed: (blocks.len() - rest.len()) as u32,
            parked: 0,
            refused,
        }
    }

    /// The first of `blocks` is the block at `first`; goes on as far as the run knows the others.
    fn place_known(
        &mut self,
        m: &Shared,
        holder: Holder,
        first: Anchor,
        blocks: &[Block],
    ) -> (Anchor, usize) {
        let Some(Place { run: id, at }) = first.at else {
            return (first, 0);
        };
        for block in blocks.iter().take(AHEAD) {
            self.names.prefetch(self.names.name(block.hash));
        }
        self.put_fresh(m);
        let (run, keys) = (m.run(id), m.run(id).keys(&m.bulk));
        let left = usize::from(run.extent().blocks - at);
        let (mut last, mut count) = (first, 1);
        while count < left.min(blocks.len()) {
            let key = last.key.extend(blocks[count].content);
            if keys.get(usize::from(at) + count) != key.0 {
                break;
            }
            last = Anchor {
                key,
                at: Some(Place {
                    run: id,
                    at: at + count as u16,
                }),
            };
            count += 1;
        }
        let place = Place { run: id, at };
        self.name_known(m, holder.replica, place, &blocks[..count]);
        self.runs.cover(m, id, holder, at..at + count as u16);
        run.set(WARM);
        (last, count)
    }

    /// None of `blocks` is known: appends them, or starts a run. `None`: no memory.
    fn place_new(
        &mut self,
        m: &Shared,
        holder: Holder,
        anchor: Anchor,
        blocks: &[Block],
    ) -> Option<(Anchor, usize)> {
        let mut keys = std::mem::take(&mut self.keys);
        keys.clear();
        keys.extend(blocks.iter().scan(anchor.key, |key, block| {
            *key = key.extend(block.content);
            Some(*key)
        }));
        let placed = self
            .append(m, holder, anchor, &keys, blocks)
            .or_else(|| self.start(m, holder, anchor, &keys, blocks));
        let last = placed.and_then(|last| Some((last, *keys.get(last.1 - 1)?)));
        self.keys = keys;
        let ((place, count), key) = last?;
        Some((
            Anchor {
                key,
                at: Some(place),
            },
            count,
        ))
    }

    fn append(
        &mut self,
        m: &Shared,
        holder: Holder,
        anchor: Anchor,
        keys: &[BlockKey],
        blocks: &[Block],
    ) -> Option<(Place, usize)> {
        let after = anchor
            .at
            .filter(|after| self.runs.may_append(m, *after, holder))?;
        let count = self.runs.append(m, after.run, keys);
        let at = after.at + 1;
        let last = Place {
            run: after.run,
            at: after.at + count,
        };
        let blocks = blocks
            .get(..count.into())
            .filter(|blocks| !blocks.is_empty())?;
        self.runs.cover_new(m, after.run, holder, at..at + count);
        let first = Place { run: after.run, at };
        self.name_new(m, holder.replica, first, blocks);
        m.run(after.run).set(WARM);
        Some((last, count.into()))
    }

    fn start(
        &mut self,
        m: &Shared,
        holder: Holder,
        anchor: Anchor,
        keys: &[BlockKey],
        blocks: &[Block],
    ) -> Option<(Place, usize)> {
        let (id, count) = self.runs.start(m, anchor.at, keys)?;
        self.runs.cover(m, id, holder, 0..count);
        if !self.runs.show(m, id) {
            self.runs.leave(m, id, holder.replica);
            return None;
        }
        let blocks = blocks.get(..count.into())?;
        self.name_new(m, holder.replica, Place { run: id, at: 0 }, blocks);
        Some((
            Place {
                run: id,
                at: count - 1,
            },
            count.into(),
        ))
    }

    /// Names `blocks`, which stood there before, from `first` on.
    fn name_known(&mut self, m: &Shared, replica: ReplicaId, first: Place, blocks: &[Block]) {
        let mut place = first;
        for (at, block) in blocks.iter().enumerate() {
            if let Some(ahead) = blocks.get(at + AHEAD) {
                self.names.prefetch(self.names.name(ahead.hash));
            }
            let name = self.names.name(block.hash);
            self.name_one(m, (replica, block.hash, name), place, true);
            self.tell_orphans(block.hash, place);
            place.at += 1;
        }
    }

    /// Names `blocks`, which have just been placed from `first` on.
    fn name_new(&mut self, m: &Shared, replica: ReplicaId, first: Place, blocks: &[Block]) {
        let mut place = first;
        for block in blocks {
            self.name_new_one(m, replica, place, block.hash);
            self.tell_orphans(block.hash, place);
            place.at += 1;
        }
    }

    #[inline]
    fn name_new_one(&mut self, m: &Shared, replica: ReplicaId, place: Place, hash: EngineHash) {
        if self.fresh.is_full() {
            self.put_fresh_but(m, FRESH_KEPT);
        }
        let name = self.names.name(hash);
        self.names.prefetch(name);
        self.fresh.push(FreshName {
            replica,
            hash,
            name,
            place,
        });
    }

    #[inline]
    fn tell_orphans(&mut self, hash: EngineHash, place: Place) {
        if self.orphans.waits_for(hash) {
            self.ready.push((hash, place));
        }
    }

    /// Puts all fresh names into the map.
    pub(super) fn put_fresh(&mut self, m: &Shared) {
        self.put_fresh_but(m, 0);
    }

    /// Puts fresh names into the map, all but the last `kept`.
    fn put_fresh_but(&mut self, m: &Shared, kept: usize) {
        while self.fresh.len() > kept
            && let Some(FreshName {
                replica,
                hash,
                name,
                place,
            }) = self.fresh.pop()
        {
            self.name_one(m, (replica, hash, name), place, false);
        }
    }

    #[inline]
    fn name_one(
        &mut self,
        m: &Shared,
        (replica, hash, name): (ReplicaId, EngineHash, Name),
        place: Place,
        known: bool,
    ) {
        if !self.aliases.is_empty() && self.has_alias(m, replica, place, hash) {
            return;
        }
        match self.names.put(name, place, |other| Runs::is_live(m, other)) {
            Put::Same => {}
            // Held under another name: this one may outlive its holder.
            Put::New if known && Runs::is_held(m, place) => m.run(place.run).set(HAUNTED),
            Put::New => {}
            Put::Other(other) => self.disagree(m, replica, (hash, place), other),
        }
    }

    /// Whether `place` is what the replica's own name means; a name that meant something else is
    /// taken from it.
    #[cold]
    fn has_alias(
        &mut self,
        m: &Shared,
        replica: ReplicaId,
        place: Place,
        hash: EngineHash,
    ) -> bool {
        match self.aliases.get(replica, hash) {
            None => false,
            Some(same) if same == place => true,
            Some(other) => {
                self.aliases.remove(replica, hash);
                self.forsake(m, replica, other);
                false
            }
        }
    }

    /// The replica names a place by a hash that means another place.
    #[cold]
    fn disagree(
        &mut self,
        m: &Shared,
        replica: ReplicaId,
        (hash, place): (EngineHash, Place),
        other: Place,
    ) {
        if !self.aliases.is_estranged(replica) {
            // It may have meant the other place itself, before a restart: it doesn't any more.
            self.forsake(m, replica, other);
        }
        let name = self.names.name(hash);
        let found = self.names.find(name, |found| found == other);
        match found {
            Some((slot, _)) if !Runs::is_held(m, other) => self.names.set(slot, name, place),
            _ => {
                self.aliases.disagree(replica);
                self.aliases.put(replica, hash, place);
                m.run(place.run).set(HAUNTED);
            }
        }
    }

    /// Takes all of a replica's copies of a block.
    fn forsake(&mut self, m: &Shared, replica: ReplicaId, place: Place) {
        let mut had = false;
        for tier in Tier::ALL {
            let holder = Holder { replica, tier };
            while Runs::holds(m, place, holder) {
                self.runs.uncover(m, place, holder);
                had = true;
            }
        }
        if had && !Runs::is_held(m, place) {
            m.run(place.run).set(HAUNTED);
            self.unsettled.push(place);
        }
    }

    fn settle(&mut self, m: &Shared) {
        while let Some(place) = self.unsettled.pop() {
            if Runs::is_live(m, place) {
                self.runs.settle(m, place.run, place.at);
            }
        }
    }

    /// Places what is known by its own name; parks the rest, or refuses it where there is nothing to
    /// wait for.
    fn place_unanchored(
        &mut self,
        m: &Shared,
        holder: Holder,
        missing: Option<EngineHash>,
        blocks: &[Block],
    ) -> Stored {
        self.put_fresh(m);
        let is_known = |block: &Block| self.known_by_name(m, holder.replica, *block).is_some();
        let unknown = blocks.iter().position(is_known).unwrap_or(blocks.len());
        let (lost, rest) = blocks.split_at(unknown);
        let mut told = match missing {
            Some(parent) => self.park(holder, parent, lost),
            None => self.refuse(lost.len()),
        };
        let first = rest
            .first()
            .and_then(|block| self.known_by_name(m, holder.replica, *block));
        if let Some(first) = first {
            let (last, count) = self.place_known(m, holder, first, rest);
            let placed = self.place(m, holder, last, rest.get(count..).unwrap_or_default());
            told.placed += placed.placed + count as u32;
            told.refused += placed.refused;
        }
        told
    }

    /// Where a block stands by its own name, if its content fits there.
    fn known_by_name(&self, m: &Shared, replica: ReplicaId, block: Block) -> Option<Anchor> {
        let place = self.resolve(m, replica, block.hash)?;
        let key = Runs::key(m, place);
        let fits = |before| Runs::key(m, before).extend(block.content) == key;
        self.runs.before(place).is_none_or(fits).then_some(Anchor {
            key,
            at: Some(place),
        })
    }

    fn park(&mut self, holder: Holder, parent: EngineHash, blocks: &[Block]) -> Stored {
        let (mut parent, mut gone) = (parent, 0);
        for block in blocks {
            gone += self.orphans.park(
                parent,
                Orphan {
                    holder,
                    block: *block,
                },
            );
            parent = block.hash;
        }
        let parked = blocks.len() as u32;
        self.refused += u64::from(gone);
        Stored {
            placed: 0,
            parked: parked.saturating_sub(gone),
            refused: gone.min(parked),
        }
    }

    /// Places what waited for blocks that have come; returns how many blocks.
    fn adopt(&mut self, m: &Shared) -> u32 {
        let mut placed = 0;
        while let Some((hash, place)) = self.ready.pop() {
            self.put_fresh(m);
            for orphan in self.orphans.take(hash) {
                let replica = orphan.holder.replica;
                if self.resolve(m, replica, hash) != Some(place) {
                    self.orphans.park(hash, orphan); // it means another block
                    continue;
                }
                let anchor = Anchor {
                    key: Runs::key(m, place),
                    at: Some(place),
                };
                placed += self.place(m, orphan.holder, anchor, &[orphan.block]).placed;
            }
        }
        placed
    }

    /// See [`crate::IndexWriter::cleared`].
    pub(crate) fn cleared(&mut self, m: &Shared, replica: ReplicaId) {
        if usize::from(replica.0) >= self.runs.held.len() {
            return;
        }
        self.put_fresh(m);
        for id in 0..self.runs.numbers() {
            if m.run(id).first_key() != 0 {
                self.runs.leave(m, id, replica);
            }
        }
        self.aliases.clear(replica);
        self.orphans.clear(replica);
        self.mind_dead(m);
    }
}
