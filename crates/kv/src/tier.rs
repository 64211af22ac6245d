//! Where a block lies, and how much of a prompt lies there.

/// A place that holds blocks, nearest to the engine first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Tier {
    /// The engine's own cache (vLLM's medium "GPU", also on its CPU platform).
    Gpu = 0,
    /// Memory of the replica's host (medium "CPU").
    Cpu = 1,
    /// Disk of the replica's host (medium "STORAGE", locality "LOCAL" or unset).
    Disk = 2,
    /// A store that other replicas reach too (medium "STORAGE", locality "REMOTE").
    Remote = 3,
}

impl Tier {
    /// All tiers, nearest first.
    pub const ALL: [Self; 4] = [Self::Gpu, Self::Cpu, Self::Disk, Self::Remote];

    /// The name used in receipts, metrics and configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::Cpu => "cpu",
            Self::Disk => "disk",
            Self::Remote => "remote",
        }
    }
}

/// How many leading blocks of a prompt a replica can reach without computing them.
///
/// `depth[tier]` counts blocks from the start of the prompt, as an engine would find them: first
/// its own cache, then what follows in host memory, then what follows on disk, then in the store.
/// So `depth` never falls from one tier to the next, and `depth[3]` is the whole overlap.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Overlap {
    /// Blocks reached when tiers up to this one are used, indexed by [`Tier`].
    pub depth: [u32; 4],
}

impl Overlap {
    /// An overlap of `blocks` in the engine's own cache and nowhere else.
    #[must_use]
    pub const fn gpu(blocks: u32) -> Self {
        Self { depth: [blocks; 4] }
    }

    /// Blocks reached with all tiers.
    #[must_use]
    pub const fn blocks(self) -> u32 {
        self.depth[3]
    }

    /// Blocks that would come from `tier` itself.
    #[must_use]
    pub const fn from_tier(self, tier: Tier) -> u32 {
        match tier {
            Tier::Gpu => self.depth[0],
            Tier::Cpu => self.depth[1] - self.depth[0],
            Tier::Disk => self.depth[2] - self.depth[1],
            Tier::Remote => self.depth[3] - self.depth[2],
        }
    }

    /// The farthest tier that this overlap uses; `None` where nothing overlaps.
    #[must_use]
    pub fn farthest_tier(self) -> Option<Tier> {
        Tier::ALL
            .into_iter()
            .rev()
            .find(|tier| self.from_tier(*tier) > 0)
    }
}
