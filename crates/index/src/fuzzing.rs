//! What the fuzz target `index` promises.

#[path = "../../../fuzz/choices.rs"]
mod choices;
#[cfg(test)]
mod tests;

use crate::{
    Block, IndexConfig, IndexReader, IndexWriter, Overlaps, Parent, index, reference::Reference,
};
use choices::Choices;
use onefill_kv::{BlockKey, ContentHash, EngineHash, ReplicaId, Tier};

const REPLICAS: usize = 5;
const ROOTS: usize = 2;
const BLOCKS_MAX: usize = 24;
/// Different blocks that may follow one.
const BRANCHES: usize = 3;

/// Any stream of events, made by the bytes, of engines that name blocks by one chained hash: no
/// panic, and after each event the index answers as the literal one does.
pub fn streams(bytes: &[u8]) {
    let config = IndexConfig {
        ..IndexConfig::default()
    };
    let (writer, reader) = index(&config);
    let mut both = Both {
        choices: Choices(bytes),
        writer,
        reader,
        reference: Reference::default(),
        overlaps: Overlaps::default(),
    };
    while both.choices.are_left() {
        let chain = both.chain();
        both.event(&chain);
        both.compare(&chain);
    }
    both.clear_all();
}

struct Both<'a> {
    choices: Choices<'a>,
    writer: IndexWriter,
    reader: IndexReader,
    reference: Reference,
    overlaps: Overlaps,
}

struct Chain {
    root: BlockKey,
    keys: Vec<BlockKey>,
    blocks: Vec<Block>,
}

impl Both<'_> {
    fn chain(&mut self) -> Chain {
        let root = BlockKey(7 + self.choices.below(ROOTS) as u64);
        let mut chain = Chain {
            root,
            keys: Vec::new(),
            blocks: Vec::new(),
        };
        let mut key = root;
        let length = 1 + self.choices.below(BLOCKS_MAX);
        // Few branches near the root, so that chains meet often.
        let mut turns = u32::from_be_bytes(self.choices.bytes());
        for _ in 0..length {
            let content = ContentHash(u64::from(turns) % BRANCHES as u64);
            turns /= BRANCHES as u32;
            key = key.extend(content);
            let hash = EngineHash(key.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17));
            chain.keys.push(key);
            chain.blocks.push(Block { hash, content });
        }
        chain
    }

    fn event(&mut self, chain: &Chain) {
        let replica = ReplicaId(self.choices.below(REPLICAS) as u16);
        let tier = Tier::ALL[self.choices.below(Tier::ALL.len())];
        let from = self.choices.below(chain.blocks.len());
        match self.choices.below(16) {
            0..6 => self.stored(replica, tier, Parent::Root(chain.root), &chain.blocks),
            6..9 => {
                let parent = match from.checked_sub(1) {
                    None => Parent::Root(chain.root),
                    Some(before) => Parent::Hash(chain.blocks[before].hash),
                };
                self.stored(replica, tier, parent, &chain.blocks[from..]);
            }
            9 => {
                // A tier leaves the namespace out of what the replica holds elsewhere.
                let held = self.reference.overlap(replica, &chain.keys).blocks() as usize;
                self.stored(replica, tier, Parent::UnknownRoot, &chain.blocks[..held]);
            }
            10..15 => {
                let tail = chain.blocks[from..].iter().rev();
                let hashes: Vec<EngineHash> = tail.map(|block| block.hash).collect();
                let count = 1 + self.choices.below(hashes.len());
                self.writer.removed(replica, tier, &hashes[..count]);
                self.reference.removed(replica, tier, &hashes[..count]);
            }
            _ => {
                self.writer.cleared(replica);
                self.reference.cleared(replica);
            }
        }
    }

    fn stored(&mut self, replica: ReplicaId, tier: Tier, parent: Parent, blocks: &[Block]) {
        let told = self.writer.stored(replica, tier, parent, blocks);
        let _ = self.reference.stored(replica, tier, parent, blocks);
        // Parked blocks that found their parent are told of again.
        let all = told.placed + told.parked + told.refused;
        assert!(all as usize >= blocks.len(), "{told:?}");
    }

    fn compare(&mut self, chain: &Chain) {
        self.reader.lookup(&chain.keys, &mut self.overlaps);
        for number in 0..REPLICAS {
            let replica = ReplicaId(number as u16);
            let expected = self.reference.overlap(replica, &chain.keys);
            assert_eq!(self.overlaps.get(replica), expected, "replica {number}");
        }
    }

    fn clear_all(mut self) {
        for number in 0..REPLICAS {
            self.writer.cleared(ReplicaId(number as u16));
        }
        let stats = self.writer.stats();
        assert_eq!((stats.pairs, stats.blocks, stats.orphans), (0, 0, 0));
    }
}
