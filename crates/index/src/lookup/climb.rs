//! Tiers after the GPU: each goes on where the one before stops.

use onefill_kv::{ReplicaId, Tier};

use super::{Passage, Scratch};
use crate::overlaps::Overlaps;
use crate::run::{Run, Span};
use crate::shared::Shared;

/// A replica past its GPU.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Climber {
    replica: ReplicaId,
    /// The tier that it goes on in; beyond the last: it stopped.
    tier: usize,
    /// Blocks of the chain reached with each tier before `tier`.
    depth: [u32; 4],
}

/// Follows, through one run, those whose GPU stops here and those who climb already.
#[inline]
pub(super) fn read_run<const N: usize>(
    m: &Shared,
    run: Run<'_>,
    alive: &[u64; N],
    passage: &Passage<N>,
    scratch: &mut Scratch,
) {
    scratch.next_climbers.clear();
    if !scratch.climbers.is_empty() || passage.has_tiers {
        read_tiers(m, run, alive, passage, scratch);
    }
}

fn read_tiers<const N: usize>(
    m: &Shared,
    run: Run<'_>,
    alive: &[u64; N],
    passage: &Passage<N>,
    scratch: &mut Scratch,
) {
    let Scratch {
        spans,
        climbers,
        next_climbers,
        base,
        ..
    } = scratch;
    spans.clear();
    spans.extend(run.spans(&m.bulk).map(|(_, span)| span));
    spans.sort_unstable_by_key(|span| span.word()); // by replica, tier, start
    let stops = |replica: ReplicaId| {
        let (word, bit) = (usize::from(replica.0) / 64, 1 << (replica.0 % 64));
        alive
            .get(word)
            .is_some_and(|alive| alive & !passage.through[word] & bit != 0)
    };
    for climber in climbers.iter() {
        let first = spans.partition_point(|span| span.replica() < climber.replica);
        let own = spans[first..]
            .chunk_by(|a, b| a.replica() == b.replica())
            .next();
        let own = own
            .filter(|own| own[0].replica() == climber.replica)
            .unwrap_or_default();
        next_climbers.push(climb(own, *climber, (0, passage.blocks), *base));
    }
    for own in spans.chunk_by(|a, b| a.replica() == b.replica()) {
        let replica = own[0].replica();
        if own.iter().all(|span| span.tier() == Tier::Gpu) || !stops(replica) {
            continue;
        }
        let is_head = |span: &&Span| span.tier() == Tier::Gpu && span.start() == 0;
        let at = own.iter().find(is_head).map_or(0, |span| span.end());
        let start = Climber {
            replica,
            tier: 1,
            depth: [*base + u32::from(at), 0, 0, 0],
        };
        next_climbers.push(climb(own, start, (at, passage.blocks), *base));
    }
}

/// Goes on through blocks `at..end` of a run, tier by tier, with the replica's `own` spans of it.
fn climb(own: &[Span], from: Climber, (at, end): (u16, u16), base: u32) -> Climber {
    let (mut climber, mut at) = (from, at);
    while let Some(tier) = Tier::ALL.get(climber.tier) {
        let holds = |span: &&Span| span.tier() == *tier && span.blocks().contains(&at);
        at = own
            .iter()
            .find(holds)
            .map_or(at, |span| span.end().min(end));
        if at == end {
            break;
        }
        climber.depth[climber.tier] = base + u32::from(at);
        climber.tier += 1;
    }
    climber
}

/// Takes over what [`read_run`] found, once the run is known to have stood still.
#[inline]
pub(super) fn finish_run(scratch: &mut Scratch) {
    if scratch.climbers.is_empty() && scratch.next_climbers.is_empty() {
        return;
    }
    let Scratch {
        climbers,
        next_climbers,
        climbed,
        ..
    } = scratch;
    climbers.clear();
    for climber in next_climbers.drain(..) {
        let to = if climber.tier < Tier::ALL.len() {
            &mut *climbers
        } else {
            &mut *climbed
        };
        to.push(climber);
    }
}

/// Writes down what the climbers reached; `base` blocks of the query were walked.
#[inline]
pub(super) fn finish(scratch: &Scratch, base: u32, out: &mut Overlaps) {
    for climber in &scratch.climbed {
        out.set_further(climber.replica, climber.depth);
    }
    for climber in &scratch.climbers {
        let mut depth = climber.depth;
        depth[climber.tier..].fill(base);
        out.set_further(climber.replica, depth);
    }
}
