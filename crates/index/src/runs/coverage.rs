//! Who holds which blocks of a run: the writer's side.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use onefill_kv::{ReplicaId, Tier};

use super::Runs;
use crate::memory::LINE_WORDS;
use crate::names::Place;
use crate::run::{COPIES, HAUNTED, Holder, Run, Span, Whole};
use crate::shared::Shared;

/// So many replicas that hold a whole run and have no bit in its line get a set with a bit for each.
const BITS_FROM: usize = 8;

fn put(word: &AtomicU64, span: Option<Span>) {
    word.store(span.map_or(0, Span::word), Ordering::Release);
}

impl Runs {
    /// Whether anyone holds a block.
    pub(crate) fn is_held(m: &Shared, place: Place) -> bool {
        let run = m.run(place.run);
        m.gpu_any(run)
            || run
                .spans(&m.bulk)
                .any(|(_, span)| span.blocks().contains(&place.at))
    }

    /// Whether `holder` holds a block.
    #[inline]
    pub(crate) fn holds(m: &Shared, place: Place, holder: Holder) -> bool {
        let run = m.run(place.run);
        if holder.tier == Tier::Gpu && m.gpu_has(run, holder.replica) {
            return true;
        }
        find(m, run, holder, place.at).is_some()
    }

    /// `holder` now holds `blocks` of a run, or one copy more of those that it held.
    pub(crate) fn cover(&mut self, m: &Shared, id: u32, holder: Holder, blocks: Range<u16>) {
        let run = m.run(id);
        if holder.tier == Tier::Gpu && m.gpu_has(run, holder.replica) {
            return self.again(m, id, holder, blocks);
        }
        let (mut joined, mut known, mut first) = (blocks.clone(), 0, None);
        for (word, span) in run.spans(&m.bulk) {
            if !span.is_of(holder) || span.start() > blocks.end || blocks.start > span.end() {
                continue;
            }
            let both = blocks.start.max(span.start())..blocks.end.min(span.end());
            known += both.len() as u64;
            self.again(m, id, holder, both);
            joined = joined.start.min(span.start())..joined.end.max(span.end());
            first = first.or(Some(word));
        }
        self.held[usize::from(holder.replica.0)][holder.tier as usize] +=
            blocks.len() as u64 - known;
        self.join(m, run, Span::new(holder, &joined), first);
    }

    /// `holder` holds `blocks`, which have just been appended.
    pub(crate) fn cover_new(&mut self, m: &Shared, id: u32, holder: Holder, blocks: Range<u16>) {
        if holder.tier == Tier::Gpu && m.gpu_has(m.run(id), holder.replica) {
            self.held[usize::from(holder.replica.0)][0] += blocks.len() as u64;
        } else {
            self.cover(m, id, holder, blocks);
        }
    }

    /// Writes a span over the spans that it joins, of which `first` is one.
    fn join(&mut self, m: &Shared, run: Run<'_>, joined: Span, first: Option<&AtomicU64>) {
        let holder = joined.holder();
        let whole = joined.blocks() == (0..run.extent().blocks) && holder.tier == Tier::Gpu;
        let within = |span: Span| {
            span.is_of(holder) && joined.start() <= span.start() && span.end() <= joined.end()
        };
        let drop_others = |kept: Option<&AtomicU64>| {
            let joins = |(word, span): &(&AtomicU64, Span)| {
                within(*span) && kept.is_none_or(|kept| !std::ptr::eq(kept, *word))
            };
            if run.spans(&m.bulk).any(|found| joins(&found)) {
                run.raise_version();
                run.spans(&m.bulk)
                    .filter(joins)
                    .for_each(|(word, _)| put(word, None));
            }
        };
        if whole && m.gpu_put(run, holder.replica, true) {
            return if first.is_some() {
                drop_others(None);
            };
        }
        match first {
            Some(word) => {
                put(word, Some(joined));
                drop_others(Some(word));
            }
            None if self.add_span(m, run, joined) => {}
            None => {
                // No memory for it: unknown, as if it had been dropped.
                let held = &mut self.held[usize::from(holder.replica.0)][holder.tier as usize];
                *held -= joined.blocks().len() as u64;
                run.set(HAUNTED);
            }
        }
        if whole {
            self.widen(m, run);
        }
    }

    fn again(&mut self, m: &Shared, id: u32, holder: Holder, blocks: Range<u16>) {
        if !blocks.is_empty() {
            m.run(id).set(COPIES);
            blocks.for_each(|at| self.copies.add(Place { run: id, at }, holder));
        }
    }

    fn add_span(&mut self, m: &Shared, run: Run<'_>, span: Span) -> bool {
        m.make_way(span.replica());
        let free = run
            .span_words(&m.bulk)
            .find(|word| word.load(Ordering::Relaxed) == 0);
        if let Some(word) = free {
            put(word, Some(span));
            return true;
        }
        let old = run.more_spans();
        let Some(new) = self.heap.take(&m.bulk, usize::from(old.lines) + 1) else {
            return false;
        };
        let words = m.bulk.words(new.line, new.lines.into());
        let old_words = m.bulk.words(old.line, old.lines.into());
        (0..words.len()).for_each(|at| words.set(at, old_words.get(at)));
        words.set(old_words.len(), span.word());
        run.set_more_spans(new);
        if old.lines > 0 {
            run.raise_version();
            self.heap.give(old);
        }
        true
    }

    /// Turns spans of the whole run into bits of a larger set, once there are enough of them.
    fn widen(&mut self, m: &Shared, run: Run<'_>) {
        let blocks = run.extent().blocks;
        let whole = |span: Span| span.tier() == Tier::Gpu && span.blocks() == (0..blocks);
        let spans = || run.spans(&m.bulk).filter(|(_, span)| whole(*span));
        if spans().count() < BITS_FROM {
            return;
        }
        let highest = spans().map(|(_, span)| span.replica().0).max();
        let words = usize::from(highest.unwrap_or(0)) / 64 + 1;
        let old = run.whole();
        let old_words = match old {
            Whole::Few(_) => 1,
            Whole::Many(array) => usize::from(array.lines) * LINE_WORDS,
        };
        let lines = words.max(old_words).div_ceil(LINE_WORDS);
        let Some(new) = self.heap.take(&m.bulk, lines) else {
            return;
        };
        let words = m.bulk.words(new.line, new.lines.into());
        (0..words.len()).for_each(|at| words.set(at, m.gpu_bits(run, at)));
        for (_, span) in spans() {
            let at = usize::from(span.replica().0);
            words.set(at / 64, words.get(at / 64) | 1 << (at % 64));
        }
        run.set_whole(Whole::Many(new));
        run.raise_version();
        spans().for_each(|(word, _)| put(word, None));
        if let Whole::Many(old) = old {
            self.heap.give(old);
        }
    }

    /// Turns a replica's bit into a span; true if it has none any more.
    pub(super) fn unset_gpu_bit(&mut self, m: &Shared, id: u32, replica: ReplicaId) -> bool {
        let run = m.run(id);
        if !m.gpu_has(run, replica) {
            return true;
        }
        let blocks = 0..run.extent().blocks;
        let span = Span::new(
            Holder {
                replica,
                tier: Tier::Gpu,
            },
            &blocks,
        );
        self.add_span(m, run, span) && m.gpu_put(run, replica, false)
    }

    /// `holder` drops a copy of a block that it [`holds`](Self::holds). True if it was the last.
    pub(crate) fn uncover(&mut self, m: &Shared, place: Place, holder: Holder) -> bool {
        let run = m.run(place.run);
        if run.has(COPIES) && self.copies.take(place, holder) {
            return false;
        }
        self.uncover_held(m, run, holder, place.at..place.at + 1);
        true
    }

    /// `holder` drops `blocks`, if it holds all of them in one stretch and none twice; else false.
    pub(crate) fn uncover_range(
        &mut self,
        m: &Shared,
        id: u32,
        holder: Holder,
        blocks: Range<u16>,
    ) -> bool {
        let run = m.run(id);
        !run.has(COPIES) && self.uncover_held(m, run, holder, blocks)
    }

    fn uncover_held(
        &mut self,
        m: &Shared,
        run: Run<'_>,
        holder: Holder,
        blocks: Range<u16>,
    ) -> bool {
        let lost = if holder.tier == Tier::Gpu && m.gpu_has(run, holder.replica) {
            let whole = Span::new(holder, &(0..run.extent().blocks));
            let lost = self.punch(m, run, whole, &blocks, None);
            m.gpu_put(run, holder.replica, false);
            lost
        } else {
            match find(m, run, holder, blocks.start) {
                Some((word, span)) if blocks.end <= span.end() => {
                    self.punch(m, run, span, &blocks, Some(word))
                }
                _ => return false,
            }
        };
        self.held[usize::from(holder.replica.0)][holder.tier as usize] -= lost;
        true
    }

    /// Takes blocks out of a span, which stands in `word`, if in any. Returns how many were lost:
    /// those, or more where memory is spent.
    fn punch(
        &mut self,
        m: &Shared,
        run: Run<'_>,
        span: Span,
        blocks: &Range<u16>,
        word: Option<&AtomicU64>,
    ) -> u64 {
        let (left, right) = (span.start()..blocks.start, blocks.end..span.end());
        let part = |blocks: &Range<u16>| Span::new(span.holder(), blocks);
        let mut lost = blocks.len() as u64;
        let mut add = |blocks: &Range<u16>| {
            if !blocks.is_empty() && !self.add_span(m, run, part(blocks)) {
                run.set(HAUNTED);
                lost += blocks.len() as u64;
            }
        };
        match word {
            None => [&left, &right].into_iter().for_each(add),
            Some(word) if right.is_empty() => put(word, (!left.is_empty()).then(|| part(&left))),
            Some(word) if left.is_empty() => put(word, Some(part(&right))),
            Some(_) => {
                add(&right); // may move the words
                if let Some((word, _)) = find(m, run, span.holder(), blocks.start) {
                    put(word, Some(part(&left)));
                }
            }
        }
        lost
    }

    /// Takes a replica out of a run; returns how many blocks it held.
    pub(super) fn uncover_all(&mut self, m: &Shared, id: u32, replica: ReplicaId) -> u64 {
        let run = m.run(id);
        let mut lost = 0;
        if m.gpu_has(run, replica) {
            let whole = Span::new(
                Holder {
                    replica,
                    tier: Tier::Gpu,
                },
                &(0..run.extent().blocks),
            );
            lost += self.drop_span(id, whole, run.has(COPIES));
            m.gpu_put(run, replica, false);
        }
        for (word, span) in run
            .spans(&m.bulk)
            .filter(|(_, span)| span.replica() == replica)
        {
            lost += self.drop_span(id, span, run.has(COPIES));
            put(word, None);
        }
        lost
    }

    fn drop_span(&mut self, id: u32, span: Span, has_copies: bool) -> u64 {
        let holder = span.holder();
        if has_copies {
            span.blocks()
                .for_each(|at| self.copies.forget(Place { run: id, at }, holder));
        }
        let blocks = span.blocks().len() as u64;
        self.held[usize::from(holder.replica.0)][holder.tier as usize] -= blocks;
        blocks
    }

    /// Replicas with anything in a run.
    pub(crate) fn replicas(m: &Shared, id: u32) -> Vec<ReplicaId> {
        let run = m.run(id);
        let all = 0..(64 * m.width()) as u16;
        let whole = all
            .map(ReplicaId)
            .filter(|replica| m.gpu_has(run, *replica));
        let mut replicas: Vec<_> = whole.collect();
        replicas.extend(run.spans(&m.bulk).map(|(_, span)| span.replica()));
        replicas.sort_unstable();
        replicas.dedup();
        replicas
    }
}

/// `holder`'s span that block `at` is in.
fn find<'a>(m: &'a Shared, run: Run<'a>, holder: Holder, at: u16) -> Option<(&'a AtomicU64, Span)> {
    run.spans(&m.bulk)
        .find(|(_, span)| span.is_of(holder) && span.blocks().contains(&at))
}
