//! What the router knows: the real index, told of every change, at once or a little later.

use super::{
    Config,
    clock::{Clock, Event},
};
use crate::{policy::Seat, trace::Names};
use onefill_index::{Block, IndexConfig, IndexReader, IndexWriter, Overlaps, Parent, index};
use onefill_kv::{BlockKey, EngineHash, Overlap, ReplicaId, Tier};
use std::{collections::VecDeque, time::Duration};

/// A change of what somebody holds. The store is the holder after the last replica.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) holder: u16,
    pub(super) tier: Tier,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// Blocks of a chain from `from` on.
    Stored {
        chain: Box<[u32]>,
        from: usize,
    },
    Removed(Box<[u32]>),
}

pub(super) struct Known {
    writer: IndexWriter,
    reader: IndexReader,
    overlaps: Overlaps,
    store: Option<ReplicaId>,
    delay: Duration,
    unheard: VecDeque<Change>,
    blocks: Vec<Block>,
    hashes: Vec<EngineHash>,
}

/// Memory for the index: more than any trace here needs.
const INDEX_BYTES_MAX: usize = 4 << 30;

impl Known {
    pub(super) fn new(config: &Config) -> Self {
        let (writer, reader) = index(&IndexConfig {
            memory_bytes_max: INDEX_BYTES_MAX,
            ..IndexConfig::default()
        });
        let store = ReplicaId(config.shape.replicas as u16);
        Self {
            writer,
            reader,
            overlaps: Overlaps::default(),
            store: (config.shape.store_tokens > 0).then_some(store),
            delay: config.event_delay,
            unheard: VecDeque::new(),
            blocks: Vec::new(),
            hashes: Vec::new(),
        }
    }

    pub(super) fn tell(&mut self, names: &Names, clock: &mut Clock, change: Change) {
        if self.delay.is_zero() {
            self.apply(names, &change);
            return;
        }
        self.unheard.push_back(change);
        clock.at(clock.now + self.delay, Event::Heard);
    }

    pub(super) fn heard(&mut self, names: &Names) {
        if let Some(change) = self.unheard.pop_front() {
            self.apply(names, &change);
        }
    }

    fn apply(&mut self, names: &Names, change: &Change) {
        let holder = ReplicaId(change.holder);
        let hash = |number: &u32| EngineHash(names.key(*number).0);
        match &change.what {
            What::Stored { chain, from } => {
                let parent = match from.checked_sub(1).and_then(|before| chain.get(before)) {
                    Some(before) => Parent::Hash(hash(before)),
                    None => Parent::Root(names.root()),
                };
                self.blocks.clear();
                self.blocks
                    .extend(chain[*from..].iter().map(|number| Block {
                        hash: hash(number),
                        content: names.content(*number),
                    }));
                self.writer
                    .stored(holder, change.tier, parent, &self.blocks);
            }
            What::Removed(blocks) => {
                self.hashes.clear();
                self.hashes.extend(blocks.iter().map(hash));
                self.writer.removed(holder, change.tier, &self.hashes);
            }
        }
    }

    /// Every replica's overlap with `chain`.
    pub(super) fn look_up(&mut self, chain: &[BlockKey], seats: &mut [Seat]) {
        self.reader.lookup(chain, &mut self.overlaps);
        let stored = self.store.map(|store| self.overlaps.get(store).blocks());
        for (place, seat) in seats.iter_mut().enumerate() {
            let replica = ReplicaId(place as u16);
            let own = self.overlaps.get(replica);
            seat.overlap = with_store(own, stored.unwrap_or(0));
            seat.load.held_blocks = self.writer.held(replica, Tier::Gpu) as u32;
        }
    }
}

/// The store serves whichever replica asks: what it holds counts for each, beyond its own tiers.
fn with_store(own: Overlap, stored: u32) -> Overlap {
    let [gpu, cpu, disk, remote] = own.depth;
    Overlap {
        depth: [gpu, cpu, disk, remote.max(stored)],
    }
}
