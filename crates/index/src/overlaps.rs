//! The answer of a lookup.

use onefill_kv::{Overlap, ReplicaId};

/// Answer of a lookup; keep one a thread and use it again.
#[derive(Debug, Default)]
pub struct Overlaps {
    /// Leading blocks on the GPU, by replica.
    gpu: Vec<u32>,
    /// Blocks reached with further tiers, for replicas that have any; empty where none has.
    further: Vec<[u32; 3]>,
    /// Scratch of the lookup.
    pub(crate) walk: crate::lookup::Scratch,
}

impl Overlaps {
    /// Forgets the last answer.
    pub fn clear(&mut self) {
        self.gpu.clear();
        self.further.clear();
    }

    /// Overlap of one replica.
    #[inline]
    #[must_use]
    pub fn get(&self, replica: ReplicaId) -> Overlap {
        let at = usize::from(replica.0);
        let gpu = self.gpu.get(at).copied().unwrap_or(0);
        match self.further.get(at) {
            None => Overlap::gpu(gpu),
            Some(further) => {
                let depth = further.map(|blocks| blocks.max(gpu));
                Overlap {
                    depth: [gpu, depth[0], depth[1], depth[2]],
                }
            }
        }
    }

    /// Leading blocks that each replica holds in its own cache, by replica number; replicas beyond
    /// the end hold none.
    #[inline]
    #[must_use]
    pub fn gpu_blocks(&self) -> &[u32] {
        &self.gpu
    }

    /// Starts an answer of nothing for `replicas` replicas.
    #[inline]
    pub(crate) fn start(&mut self, replicas: usize) {
        self.further.clear();
        self.gpu.clear();
        self.gpu.resize(replicas, 0);
    }

    /// The replicas of a word of a set hold `blocks` on their GPU.
    #[inline]
    pub(crate) fn set_word(&mut self, word: usize, bits: u64, blocks: u32) {
        let Some(of) = self.gpu.get_mut(64 * word..64 * word + 64) else {
            return;
        };
        if bits == u64::MAX {
            return of.fill(blocks);
        }
        let mut bits = bits;
        while bits != 0 {
            of[bits.trailing_zeros() as usize] = blocks;
            bits &= bits - 1;
        }
    }

    #[inline]
    pub(crate) fn set(&mut self, replica: ReplicaId, blocks: u32) {
        if let Some(of) = self.gpu.get_mut(usize::from(replica.0)) {
            *of = blocks;
        }
    }

    /// What a replica reaches with the tiers after its GPU.
    pub(crate) fn set_further(&mut self, replica: ReplicaId, depth: [u32; 4]) {
        if self.further.is_empty() {
            self.further.resize(self.gpu.len(), [0; 3]);
        }
        self.set(replica, depth[0]);
        if let Some(of) = self.further.get_mut(usize::from(replica.0)) {
            *of = [depth[1], depth[2], depth[3]];
        }
    }
}
