//! The writer's hand on the runs: finds, makes, grows, trims and frees them.

mod coverage;

use onefill_kv::{BlockKey, ReplicaId};

use crate::copies::Copies;
use crate::heap::{Array, Heap};
use crate::memory::{LINE_WORDS, Memory};
use crate::names::Place;
use crate::run::{Extent, HAUNTED, Holder, RUN_BLOCKS_MAX, Run, Whole};
use crate::shared::Shared;

const NO_RUN: u32 = u32::MAX;

/// Where a run hangs.
#[derive(Clone, Copy, Debug)]
struct Hang {
    /// [`NO_RUN`]: it starts a chain.
    parent: u32,
    at: u16,
    /// Runs that hang on this one.
    children: u32,
}

/// All runs.
#[derive(Debug)]
pub(crate) struct Runs {
    pub(crate) heap: Heap,
    pub(crate) copies: Copies,
    hangs: Vec<Hang>,
    free: Vec<u32>,
    /// Freed runs that names may still point at: not used again before [`Runs::bury`].
    pub(crate) dead: Vec<u32>,
    /// Blocks that each replica holds in each tier.
    pub(crate) held: Vec<[u64; 4]>,
    /// Blocks in runs.
    pub(crate) blocks: u64,
}

impl Runs {
    pub(crate) fn new() -> Self {
        Self {
            heap: Heap::new(),
            copies: Copies::default(),
            hangs: Vec::new(),
            free: Vec::new(),
            dead: Vec::new(),
            held: vec![[0; 4]; onefill_kv::REPLICAS_MAX],
            blocks: 0,
        }
    }

    /// Numbers of runs given out so far, free and dead ones included.
    pub(crate) fn numbers(&self) -> u32 {
        self.hangs.len() as u32
    }

    /// Runs that exist.
    pub(crate) fn live(&self) -> usize {
        self.hangs.len() - self.free.len() - self.dead.len()
    }

    /// Bytes in use beside the shared memory.
    pub(crate) fn own_bytes(&self) -> usize {
        self.hangs.capacity() * size_of::<Hang>()
            + 4 * (self.free.capacity() + self.dead.capacity())
            + self.heap.list_bytes()
            + self.copies.bytes()
    }

    /// The key of a block.
    #[inline]
    pub(crate) fn key(m: &Shared, place: Place) -> BlockKey {
        let run = m.run(place.run);
        if place.at + 1 == run.extent().blocks {
            return BlockKey(run.last_key());
        }
        BlockKey(run.keys(&m.bulk).get(place.at.into()))
    }

    /// Whether there is a block at a place.
    #[inline]
    pub(crate) fn is_live(m: &Shared, place: Place) -> bool {
        let run = m.run(place.run);
        run.first_key() != 0 && place.at < run.extent().blocks
    }

    /// The block before a place; `None` where the place starts a chain.
    pub(crate) fn before(&self, place: Place) -> Option<Place> {
        if place.at > 0 {
            return Some(Place {
                run: place.run,
                at: place.at - 1,
            });
        }
        let hang = self.hangs[place.run as usize];
        (hang.parent != NO_RUN).then_some(Place {
            run: hang.parent,
            at: hang.at,
        })
    }

    /// Whether runs hang on this one.
    pub(crate) fn has_children(&self, id: u32) -> bool {
        self.hangs[id as usize].children > 0
    }

    /// The block with `key` that follows `after` (`None`: that starts a chain).
    #[inline]
    pub(crate) fn follow(m: &Shared, after: Option<Place>, key: BlockKey) -> Option<Place> {
        let Some(Place { run: id, at }) = after else {
            return m.head(key).map(|run| Place { run, at: 0 });
        };
        let run = m.run(id);
        let next = at + 1;
        if next < run.extent().blocks && run.keys(&m.bulk).get(next.into()) == key.0 {
            return Some(Place { run: id, at: next });
        }
        if run.child_end() < next {
            return None;
        }
        m.head(key).map(|run| Place { run, at: 0 })
    }

    /// Whether `holder`'s next block may be appended after `after` instead of starting a run.
    pub(crate) fn may_append(&mut self, m: &Shared, after: Place, holder: Holder) -> bool {
        let run = m.run(after.run);
        let blocks = run.extent().blocks;
        if after.at + 1 != blocks || blocks >= RUN_BLOCKS_MAX || !m.gpu_only(run, holder.replica) {
            return false;
        }
        holder.tier == onefill_kv::Tier::Gpu || self.unset_gpu_bit(m, after.run, holder.replica)
    }

    /// Appends a block to a run that has room for it and that only `replica` holds, all of it on its
    /// GPU.
    #[inline]
    pub(crate) fn append_in_place(
        &mut self,
        m: &Shared,
        run: Run<'_>,
        key: BlockKey,
        replica: ReplicaId,
    ) {
        let Extent { array, blocks } = run.extent();
        let words = m.bulk.words(array.line, array.lines.into());
        words.set(blocks.into(), key.0);
        let blocks = blocks + 1;
        run.set_extent(Extent { array, blocks }, key);
        self.blocks += 1;
        self.held[usize::from(replica.0)][0] += 1;
    }

    /// Appends blocks; returns how many found room.
    pub(crate) fn append(&mut self, m: &Shared, id: u32, keys: &[BlockKey]) -> u16 {
        let run = m.run(id);
        let Extent { mut array, blocks } = run.extent();
        let wanted = keys.len().min(usize::from(RUN_BLOCKS_MAX - blocks));
        let room = usize::from(array.lines) * LINE_WORDS - usize::from(blocks);
        let mut old = None;
        if room < wanted {
            // Half as much again, so that one block after the other costs few moves.
            let lines = (usize::from(blocks) + wanted).div_ceil(LINE_WORDS);
            let lines = lines.max(usize::from(array.lines + array.lines / 2));
            let lines = lines.min(usize::from(RUN_BLOCKS_MAX) / LINE_WORDS);
            let Some(new) = self.heap.take(&m.bulk, lines) else {
                return 0;
            };
            copy(&m.bulk, array, new, blocks.into());
            old = Some(std::mem::replace(&mut array, new));
        }
        let words = m.bulk.words(array.line, array.lines.into());
        for (key, at) in keys.iter().zip(usize::from(blocks)..).take(wanted) {
            words.set(at, key.0);
        }
        if let Some(last) = wanted.checked_sub(1).and_then(|last| keys.get(last)) {
            run.set_extent(
                Extent {
                    array,
                    blocks: blocks + wanted as u16,
                },
                *last,
            );
            self.blocks += wanted as u64;
        }
        if let Some(old) = old {
            run.raise_version();
            self.heap.give(old);
        }
        wanted as u16
    }

    /// Makes a run of the first of `keys`, not known to readers before [`Self::show`]; returns how
    /// many it took.
    pub(crate) fn start(
        &mut self,
        m: &Shared,
        after: Option<Place>,
        keys: &[BlockKey],
    ) -> Option<(u32, u16)> {
        let keys = keys
            .get(..keys.len().min(RUN_BLOCKS_MAX.into()))
            .unwrap_or(keys);
        let (first, last) = (*keys.first()?, *keys.last()?);
        let array = self.heap.take(&m.bulk, keys.len().div_ceil(LINE_WORDS))?;
        let Some(id) = self.number(m) else {
            self.heap.give(array);
            return None;
        };
        let words = m.bulk.words(array.line, array.lines.into());
        keys.iter()
            .zip(0..)
            .for_each(|(key, at)| words.set(at, key.0));
        let blocks = keys.len() as u16;
        m.run(id).begin(first, Extent { array, blocks }, last);
        self.blocks += u64::from(blocks);
        let (parent, at) = after.map_or((NO_RUN, 0), |place| (place.run, place.at));
        self.hangs[id as usize] = Hang {
            parent,
            at,
            children: 0,
        };
        if let Some(hang) = self.hangs.get_mut(parent as usize) {
            hang.children += 1;
            let run = m.run(parent);
            run.set_child_end(run.child_end().max(at + 1));
        }
        Some((id, blocks))
    }

    /// Makes a new run known to readers.
    pub(crate) fn show(&mut self, m: &Shared, id: u32) -> bool {
        let key = BlockKey(m.run(id).first_key());
        m.heads.insert(&m.bulk, &mut self.heap, key, id)
    }

    fn number(&mut self, m: &Shared) -> Option<u32> {
        if let Some(id) = self.free.pop() {
            return Some(id);
        }
        let id = self.numbers();
        if id as usize >= m.headers.lines_max().min(crate::shared::RUNS_MAX)
            || !m.headers.reserve(&m.bulk, &mut self.heap, id)
        {
            return None;
        }
        self.hangs.push(Hang {
            parent: NO_RUN,
            at: 0,
            children: 0,
        });
        Some(id)
    }

    /// Cuts blocks off the end that nobody holds; frees the run, and runs before it, if nothing is
    /// left. `at` has just lost its last holder.
    pub(crate) fn settle(&mut self, m: &Shared, id: u32, at: u16) {
        let run = m.run(id);
        let Extent { array, blocks } = run.extent();
        if m.gpu_any(run) {
            return;
        }
        let end = run
            .spans(&m.bulk)
            .map(|(_, span)| span.end())
            .max()
            .unwrap_or(0);
        if end == 0 && !self.has_children(id) {
            return self.free(m, id);
        }
        let end = end.max(run.child_end());
        if at + 1 == blocks && end < blocks && !run.has(HAUNTED) {
            let last = run.keys(&m.bulk).get(usize::from(end) - 1);
            run.set_extent(Extent { array, blocks: end }, BlockKey(last));
            run.raise_version();
            self.blocks -= u64::from(blocks - end);
        }
    }

    /// Frees a run without holders and children, then what that leaves without.
    fn free(&mut self, m: &Shared, id: u32) {
        let mut id = id;
        loop {
            let Hang { parent, .. } = self.hangs[id as usize];
            self.free_one(m, id);
            let Some(hang) = self.hangs.get_mut(parent as usize) else {
                return;
            };
            hang.children -= 1;
            if hang.children > 0 {
                return;
            }
            let run = m.run(parent);
            run.set_child_end(0);
            if m.gpu_any(run) || run.spans(&m.bulk).next().is_some() {
                return;
            }
            id = parent;
        }
    }

    fn free_one(&mut self, m: &Shared, id: u32) {
        let run = m.run(id);
        let Extent { array, blocks } = run.extent();
        let more = run.more_spans();
        let whole = run.whole();
        m.heads.remove(&m.bulk, BlockKey(run.first_key()), id);
        run.end();
        self.heap.give(array);
        if more.lines > 0 {
            self.heap.give(more);
        }
        if let Whole::Many(array) = whole {
            self.heap.give(array);
        }
        self.blocks -= u64::from(blocks);
        if run.has(HAUNTED) {
            self.dead.push(id);
        } else {
            self.free.push(id);
        }
    }

    /// Lets dead runs' numbers be used again: no name points at them any more.
    pub(crate) fn bury(&mut self) {
        self.free.append(&mut self.dead);
        self.dead.shrink_to(1024);
    }

    /// Takes everything of a replica out of a run; returns how many blocks it held.
    pub(crate) fn leave(&mut self, m: &Shared, id: u32, replica: ReplicaId) -> u64 {
        let lost = self.uncover_all(m, id, replica);
        if lost > 0 {
            m.run(id).set(HAUNTED);
            self.settle(m, id, 0);
        }
        lost
    }
}

fn copy(bulk: &Memory, from: Array, to: Array, words: usize) {
    let (from, to) = (
        bulk.words(from.line, from.lines.into()),
        bulk.words(to.line, to.lines.into()),
    );
    (0..words).for_each(|at| to.set(at, from.get(at)));
}
