//! Keeping to the memory that was granted: what has not been stored to for longest becomes unknown,
//! leaves first. Never wrong: a block that is dropped is taken from all its holders.

use super::Writer;
use crate::memory::LINE_BYTES;
use crate::run::{HAUNTED, WARM};
use crate::runs::Runs;
use crate::shared::Shared;

/// Blocks stored between two looks at the memory in use.
const LOOK_EVERY_BLOCKS: u32 = 1024;
/// Part of the memory that is freed at once, and of the runs that may be dead before names are
/// swept.
const PART: usize = 32;

impl Writer {
    /// Looks at the memory in use, now and then; makes room where it is above the bound.
    #[inline]
    pub(super) fn mind_room(&mut self, m: &Shared, blocks: usize) {
        self.unchecked = self.unchecked.saturating_sub(blocks as u32);
        if self.unchecked == 0 {
            self.unchecked = LOOK_EVERY_BLOCKS;
            self.put_fresh(m);
            self.mind_dead(m);
            self.make_room(m);
        }
    }

    /// Bytes in use.
    pub(crate) fn used_bytes(&self, m: &Shared) -> usize {
        let runs = self.runs.live() * LINE_BYTES + m.heads.lines().used_bytes();
        let tables = self.names.used_bytes() + self.aliases.bytes() + self.orphans.bytes();
        runs + tables + self.runs.heap.used_bytes() + self.runs.own_bytes()
    }

    fn make_room(&mut self, m: &Shared) {
        if self.used_bytes(m) <= self.bytes_max {
            return;
        }
        let enough = self.bytes_max - self.bytes_max / PART;
        // Each run is passed at most twice: once to cool, once to go.
        let mut left = 2 * self.runs.numbers() as usize + PART;
        while self.used_bytes(m) > enough && left > 0 {
            let step = self.runs.numbers() as usize / PART + 1;
            for _ in 0..step.min(left) {
                self.pass(m);
            }
            left -= step.min(left);
            self.sweep(m);
        }
    }

    /// Moves the eviction hand over one run.
    fn pass(&mut self, m: &Shared) {
        let id = self.hand;
        self.hand = if id + 1 >= self.runs.numbers() {
            0
        } else {
            id + 1
        };
        let run = m.run(id);
        if run.first_key() == 0 || self.runs.has_children(id) {
            return;
        }
        if run.has(WARM) {
            return run.unset(WARM);
        }
        run.set(HAUNTED);
        self.dropped += u64::from(run.extent().blocks);
        for replica in Runs::replicas(m, id) {
            self.runs.leave(m, id, replica);
        }
    }

    /// Sweeps the names once there are many dead runs.
    pub(super) fn mind_dead(&mut self, m: &Shared) {
        if self.runs.dead.len() > (self.runs.live() / PART).max(PART) {
            self.sweep(m);
        }
    }

    /// Forgets names of places that are no more.
    pub(crate) fn sweep(&mut self, m: &Shared) {
        self.names.retain(|place| Runs::is_live(m, place));
        self.aliases.retain(|place| Runs::is_live(m, place));
        self.runs.bury();
    }
}
