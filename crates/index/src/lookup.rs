//! The readers' walk: from run to run, as far as any replica goes.
//!
//! Keys are chained, so a run is compared at one block: if the query's key there is the run's, all
//! before are. Where it isn't, the first difference is searched for. What a run says is used only
//! if its version stood still meanwhile ([`crate::run`]); nothing is written, nothing waited for.

mod climb;

use onefill_kv::{BlockKey, ReplicaId, Tier};

use crate::memory::{LINE_WORDS, Words};
use crate::overlaps::Overlaps;
use crate::run::{Extent, Run, Span};
use crate::shared::Shared;

pub(crate) use climb::Climber;

/// How often a reader looks again at a run that moves under it. It takes that many moves of one run
/// within nanoseconds each; then the reader makes do with the runs before.
const LOOKS_MAX: u32 = 1 << 20;

/// Probes of one step of a search.
const PROBES: usize = 16;
/// Blocks of a long run's front.
const FRONT: usize = PROBES * LINE_WORDS;

/// Words of a set of the most replicas that there can be.
const WIDEST: usize = onefill_kv::REPLICAS_MAX / 64;

/// Buffers of a walk.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Replicas whose GPU stops inside the run, with the blocks of the run that they hold.
    stops: Vec<(ReplicaId, u16)>,
    /// Replicas that are past their GPU and still go on in another tier.
    climbers: Vec<Climber>,
    next_climbers: Vec<Climber>,
    /// Replicas that got past their GPU and are done.
    climbed: Vec<Climber>,
    /// A run's spans, sorted.
    spans: Vec<Span>,
    /// Blocks of the query before the run.
    base: u32,
}

/// Looks `chain` up.
pub(crate) fn lookup(m: &Shared, chain: &[BlockKey], out: &mut Overlaps) {
    match m.width() {
        1 => walk::<1>(m, chain, out),
        2 => walk::<2>(m, chain, out),
        4 => walk::<4>(m, chain, out),
        8 => walk::<8>(m, chain, out),
        16 => walk::<16>(m, chain, out),
        32 => walk::<32>(m, chain, out),
        64 => walk::<64>(m, chain, out),
        _ => walk::<WIDEST>(m, chain, out),
    }
}

/// What one run says about a query.
struct Passage<const N: usize> {
    /// Blocks of the run that the query shares.
    blocks: u16,
    /// Replicas that hold all of those.
    through: [u64; N],
    /// Whether tiers but GPUs hold some of the run.
    has_tiers: bool,
    /// Whether another run may go on from here.
    goes_on: bool,
}

fn walk<const N: usize>(m: &Shared, chain: &[BlockKey], out: &mut Overlaps) {
    out.start(64 * N);
    let mut scratch = std::mem::take(&mut out.walk);
    scratch.climbers.clear();
    scratch.climbed.clear();
    let mut alive = [u64::MAX; N];
    let mut base = 0;
    while let Some(rest) = chain.get(base..).filter(|rest| !rest.is_empty()) {
        scratch.base = base as u32;
        let Some(passage) = pass(m, rest, &alive, &mut scratch) else {
            break;
        };
        if base > 0 {
            for (word, (alive, through)) in alive.iter().zip(passage.through).enumerate() {
                out.set_word(word, alive & !through, base as u32);
            }
        }
        for (replica, blocks) in &scratch.stops {
            out.set(*replica, base as u32 + u32::from(*blocks));
        }
        climb::finish_run(&mut scratch);
        alive = passage.through;
        base += usize::from(passage.blocks);
        if !passage.goes_on || alive == [0; N] && scratch.climbers.is_empty() {
            break;
        }
    }
    for (word, bits) in alive.iter().enumerate().filter(|_| base > 0) {
        out.set_word(word, *bits, base as u32);
    }
    climb::finish(&scratch, base as u32, out);
    out.walk = scratch;
}

/// Reads the run that starts with `rest`, at one version. `None`: there is none.
#[inline]
fn pass<const N: usize>(
    m: &Shared,
    rest: &[BlockKey],
    alive: &[u64; N],
    scratch: &mut Scratch,
) -> Option<Passage<N>> {
    let first = *rest.first()?;
    for _ in 0..LOOKS_MAX {
        let run = m.run(m.head(first)?);
        let version = run.version();
        if run.first_key() != first.0 {
            continue; // freed since: look for it again
        }
        scratch.stops.clear();
        let passage = read(m, run, rest, alive, scratch);
        if run.version_after() == version {
            return Some(passage);
        }
    }
    None
}

#[inline]
fn read<const N: usize>(
    m: &Shared,
    run: Run<'_>,
    rest: &[BlockKey],
    alive: &[u64; N],
    scratch: &mut Scratch,
) -> Passage<N> {
    let extent = run.extent();
    let blocks = shared_blocks(m, run, extent, rest);
    let mut through = [0; N];
    for (word, through) in through.iter_mut().enumerate() {
        *through = alive[word] & m.gpu_bits(run, word);
    }
    let mut has_tiers = false;
    for (_, span) in run.spans(&m.bulk) {
        if span.tier() != Tier::Gpu {
            has_tiers = true;
            continue;
        }
        let (word, bit) = (
            usize::from(span.replica().0) / 64,
            1 << (span.replica().0 % 64),
        );
        let is_alive = alive.get(word).is_some_and(|alive| alive & bit != 0);
        if span.start() == 0 && is_alive && through[word] & bit == 0 {
            if span.end() >= blocks {
                through[word] |= bit;
            } else {
                scratch.stops.push((span.replica(), span.end()));
            }
        }
    }
    let passage = Passage {
        blocks,
        through,
        has_tiers,
        goes_on: run.child_end() >= blocks,
    };
    climb::read_run(m, run, alive, &passage, scratch);
    passage
}

/// Blocks that a query shares with a run whose first block it has.
#[inline]
fn shared_blocks(m: &Shared, run: Run<'_>, extent: Extent, rest: &[BlockKey]) -> u16 {
    let both = usize::from(extent.blocks).min(rest.len());
    let Some(last) = both.checked_sub(1).and_then(|last| rest.get(last)) else {
        return 0;
    };
    if both == usize::from(extent.blocks) && last.0 == run.last_key() {
        return both as u16;
    }
    let keys = m.bulk.words(extent.array.line, extent.array.lines.into());
    let equals = |at: usize| rest.get(at).is_some_and(|key| keys.get(at) == key.0);
    // Most queries that leave a run leave it where others did, and their run is wanted next.
    let branch = usize::from(run.child_end());
    if (1..both).contains(&branch) {
        m.expect_head(rest[branch]);
        if equals(branch - 1) && !equals(branch) {
            return branch as u16;
        }
    }
    if equals(both - 1) {
        return both as u16; // the query ends in the run
    }
    first_difference(keys, rest, both) as u16
}

/// Blocks before the first of `both` at which the keys differ; the first is known to be equal.
///
/// Each step probes places that lie on lines of their own and do not wait for one another, so that
/// the machine fetches them side by side. Most runs take one step. In a long run the front is probed
/// first: chains that part early are many, and the front's lines are in the cache.
#[inline]
fn first_difference(keys: Words<'_>, rest: &[BlockKey], both: usize) -> usize {
    let equals = |at: usize| keys.get(at) == rest[at].0;
    // Blocks before `equal` are equal, those from `differs` on are not.
    let (mut equal, mut differs) = (1, both);
    if both > FRONT {
        if equals(FRONT) {
            equal = FRONT + 1;
        } else {
            differs = FRONT;
        }
    }
    loop {
        let first = equal.next_multiple_of(LINE_WORDS);
        let lines = differs.saturating_sub(first).div_ceil(LINE_WORDS);
        if lines == 0 {
            break;
        }
        let step = lines.div_ceil(PROBES) * LINE_WORDS;
        let probes = (first..differs).step_by(step);
        let passed = probes.filter(|at| equals(*at)).count();
        if passed > 0 {
            equal = first + (passed - 1) * step + 1;
        }
        differs = differs.min(first + passed * step);
    }
    equal + (equal..differs).filter(|at| equals(*at)).count()
}
