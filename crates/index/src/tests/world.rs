//! Chains, names and chance for the tests.

use std::collections::HashMap;

use onefill_kv::{BlockKey, ContentHash, EngineHash};

use crate::{Block, Parent};

/// Seeded chance (splitmix64).
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub(super) fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }
}

/// How a replica's engine names blocks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Family {
    /// A chained hash with this seed.
    Chained(u64),
    /// Numbers counted up by the replica itself.
    Counted(u16),
}

/// One block of a chain, as the test knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) key: BlockKey,
    pub(super) content: ContentHash,
}

/// A chain's root and blocks.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) root: BlockKey,
    pub(super) blocks: Vec<Known>,
}

impl Chain {
    pub(super) fn new(root: BlockKey, contents: &[u64]) -> Self {
        let mut key = root;
        let blocks = contents.iter().map(|content| {
            let content = ContentHash(*content);
            key = key.extend(content);
            Known { key, content }
        });
        Self {
            root,
            blocks: blocks.collect(),
        }
    }

    pub(super) fn keys(&self) -> Vec<BlockKey> {
        self.blocks.iter().map(|block| block.key).collect()
    }
}

/// Names given so far.
#[derive(Default)]
pub(super) struct Names {
    counted: HashMap<u16, HashMap<BlockKey, u64>>,
}

impl Names {
    pub(super) fn name(&mut self, family: Family, key: BlockKey) -> EngineHash {
        match family {
            Family::Chained(seed) => EngineHash(Chance(key.0 ^ seed).next()),
            Family::Counted(replica) => {
                let counted = self.counted.entry(replica).or_default();
                let next = 1 + counted.len() as u64;
                EngineHash(*counted.entry(key).or_insert(next))
            }
        }
    }

    /// Blocks `range` of a chain, and what they hang on.
    pub(super) fn blocks(
        &mut self,
        family: Family,
        chain: &Chain,
        range: std::ops::Range<usize>,
    ) -> (Parent, Vec<Block>) {
        let parent = match range.start.checked_sub(1) {
            None => Parent::Root(chain.root),
            Some(before) => Parent::Hash(self.name(family, chain.blocks[before].key)),
        };
        let known = &chain.blocks[range];
        let blocks = known.iter().map(|block| Block {
            hash: self.name(family, block.key),
            content: block.content,
        });
        (parent, blocks.collect())
    }
}

/// `count` chains with shared prefixes: a few beginnings, a few middles, many ends.
pub(super) fn chains(chance: &mut Chance, root: BlockKey, count: usize, long: usize) -> Vec<Chain> {
    let part = |chance: &mut Chance, kind: u64, choices: usize, blocks: usize| {
        let choice = chance.below(choices) as u64;
        let blocks = 1 + Chance(choice ^ kind).below(blocks) as u64;
        (0..blocks)
            .map(move |at| Chance(kind << 40 | choice << 20 | at).next())
            .collect::<Vec<_>>()
    };
    (0..count)
        .map(|_| {
            let mut contents = part(chance, 1, 3, long / 4);
            contents.extend(part(chance, 2, 5, long / 2));
            contents.extend(part(chance, 3, 40, long));
            Chain::new(root, &contents)
        })
        .collect()
}
