//! The usual event: a replica decodes, and alone at the end of a run stores one block more.

use super::{Anchor, Writer};
use crate::memory::LINE_WORDS;
use crate::names::Place;
use crate::run::{Extent, Holder, RUN_BLOCKS_MAX, WARM};
use crate::shared::Shared;
use crate::{Block, Stored};

const ONE: Stored = Stored {
    placed: 1,
    parked: 0,
    refused: 0,
};

impl Writer {
    /// Does what [`Self::place`] does, where nothing but one append comes of it; else nothing.
    #[inline]
    pub(super) fn place_one(
        &mut self,
        m: &Shared,
        holder: Holder,
        anchor: Anchor,
        block: Block,
    ) -> Option<Stored> {
        let after = anchor.at?;
        let run = m.run(after.run);
        let Extent { array, blocks } = run.extent();
        let is_end = after.at + 1 == blocks && run.child_end() < blocks;
        let has_room = usize::from(blocks) < LINE_WORDS * usize::from(array.lines);
        let is_alone = m.gpu_has(run, holder.replica) && m.gpu_only(run, holder.replica);
        let is_gpu = holder.tier == onefill_kv::Tier::Gpu;
        if !(is_end && has_room && is_alone && is_gpu && blocks < RUN_BLOCKS_MAX) {
            return None;
        }
        let key = anchor.key.extend(block.content);
        self.runs.append_in_place(m, run, key, holder.replica);
        let place = Place {
            run: after.run,
            at: blocks,
        };
        self.name_new_one(m, holder.replica, place, block.hash);
        run.set(WARM);
        Some(ONE)
    }
}
