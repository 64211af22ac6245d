//! Names of blocks: a dense number here, a chained key in the index.

use hashbrown::HashMap;
use onefill_kv::{BlockKey, ContentHash, KeySeed};
use std::sync::Arc;

/// Every distinct block of a trace: blocks with equal tokens after equal tokens are one.
#[derive(Clone, Debug)]
pub struct Names {
    root: BlockKey,
    keys: Vec<BlockKey>,
    contents: Vec<ContentHash>,
    numbers: HashMap<BlockKey, u32>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            root: KeySeed(0).root(None, None),
            keys: Vec::new(),
            contents: Vec::new(),
            numbers: HashMap::new(),
        }
    }
}

impl Names {
    /// The key that all chains start from.
    #[must_use]
    pub fn root(&self) -> BlockKey {
        self.root
    }

    /// Distinct blocks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// A block's key.
    #[must_use]
    pub fn key(&self, number: u32) -> BlockKey {
        self.keys[number as usize]
    }

    /// Hash of a block's own tokens.
    #[must_use]
    pub fn content(&self, number: u32) -> ContentHash {
        self.contents[number as usize]
    }

    /// Keys of a chain.
    #[must_use]
    pub fn keys(&self, blocks: &[u32]) -> Arc<[BlockKey]> {
        blocks.iter().map(|number| self.key(*number)).collect()
    }

    /// Numbers of the chain of blocks with these contents.
    pub fn chain(&mut self, contents: impl IntoIterator<Item = u64>) -> Box<[u32]> {
        let mut key = self.root;
        let number = |content: u64| {
            key = key.extend(ContentHash(content));
            let next = self.keys.len() as u32;
            let number = *self.numbers.entry(key).or_insert(next);
            if number == next {
                self.keys.push(key);
                self.contents.push(ContentHash(content));
            }
            number
        };
        contents.into_iter().map(number).collect()
    }
}
