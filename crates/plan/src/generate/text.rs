//! Text as the simulator sees it: segments that are equal or not, and how long they are.

use onefill_kv::mix;

/// Segments one after another, each a name and a number of tokens.
#[derive(Clone, Debug, Default)]
pub struct Text {
    segments: Vec<(u64, u32)>,
}

impl Text {
    /// One segment: texts of the same name are equal as far as both go.
    #[must_use]
    pub fn new(name: u64, tokens: u32) -> Self {
        Self {
            segments: vec![(name, tokens)],
        }
    }

    /// Its tokens.
    #[must_use]
    pub fn tokens(&self) -> u32 {
        self.segments.iter().map(|(_, tokens)| tokens).sum()
    }

    /// This, then `more`.
    #[must_use]
    pub fn with(&self, more: &Self) -> Self {
        let mut both = self.clone();
        both.push(more);
        both
    }

    /// Adds `more` at the end.
    pub fn push(&mut self, more: &Self) {
        self.segments.extend_from_slice(&more.segments);
    }

    /// Contents of its full blocks.
    #[must_use]
    pub fn contents(&self, block_tokens: u32) -> Vec<u64> {
        let block_tokens = block_tokens.max(1);
        let mut contents = Vec::with_capacity((self.tokens() / block_tokens) as usize);
        let (mut hash, mut filled) = (0, 0);
        for (name, tokens) in &self.segments {
            let mut used = 0;
            while used < *tokens {
                let taken = (tokens - used).min(block_tokens - filled);
                // What stands in the block: which part of which segment.
                hash = mix(mix(hash ^ name) ^ (u64::from(used) << 32 | u64::from(taken)));
                used += taken;
                filled += taken;
                if filled == block_tokens {
                    contents.push(hash);
                    (hash, filled) = (0, 0);
                }
            }
        }
        contents
    }
}
