//! What engines drop. They drop chains from the tail, block by block: neighbours in one run go
//! together, so that the run is looked at once.

use onefill_kv::EngineHash;

use super::Writer;
use crate::names::{Place, Slot};
use crate::prefetch;
use crate::run::Holder;
use crate::runs::Runs;
use crate::shared::Shared;

/// Names looked up together.
const AT_ONCE: usize = 16;

/// A name of a dropped block, and what it seems to mean.
#[derive(Clone, Copy, Debug)]
struct Dropped {
    hash: EngineHash,
    found: Option<(Slot, Place)>,
}

impl Writer {
    /// See [`crate::IndexWriter::removed`].
    pub(crate) fn removed(&mut self, m: &Shared, holder: Holder, hashes: &[EngineHash]) {
        if usize::from(holder.replica.0) >= self.runs.held.len() {
            return;
        }
        self.put_fresh(m);
        for hashes in hashes.chunks(AT_ONCE) {
            let mut names = [None; AT_ONCE];
            for (name, hash) in names.iter_mut().zip(hashes) {
                let cut = self.names.name(*hash);
                self.names.prefetch(cut);
                *name = Some((*hash, cut));
            }
            let dropped = names.map(|name| {
                let (hash, name) = name?;
                let found = self.names.find(name, |_| true);
                let found = found.inspect(|(_, place)| prefetch::line(m.run(place.run).0));
                Some(Dropped { hash, found })
            });
            self.remove_some(m, holder, &dropped);
        }
        self.settle(m);
    }

    fn remove_some(&mut self, m: &Shared, holder: Holder, dropped: &[Option<Dropped>; AT_ONCE]) {
        let mut rest = dropped.as_slice();
        while let Some(Some(first)) = rest.first() {
            let mut together = neighbours(rest);
            if together < 2 || !self.remove_together(m, holder, &rest[..together]) {
                self.remove(m, holder, first.hash, first.found);
                together = 1;
            }
            rest = &rest[together..];
        }
    }

    /// Removes neighbours of one run if that is all that happens. False: they go one by one.
    fn remove_together(&mut self, m: &Shared, holder: Holder, dropped: &[Option<Dropped>]) -> bool {
        let places = || dropped.iter().filter_map(|one| (*one)?.found);
        let (Some((_, first)), Some((_, last))) = (places().next(), places().next_back()) else {
            return false;
        };
        let blocks = first.at.min(last.at)..first.at.max(last.at) + 1;
        let run = m.run(first.run);
        if !self.aliases.is_empty()
            || run.first_key() == 0
            || blocks.end > run.extent().blocks
            || !self
                .runs
                .uncover_range(m, first.run, holder, blocks.clone())
        {
            return false;
        }
        if m.gpu_any(run) {
            return true; // somebody holds all of it
        }
        let overlaps = |at: &std::ops::Range<u16>| at.start < blocks.end && blocks.start < at.end;
        let is_shared = run.spans(&m.bulk).any(|(_, span)| overlaps(&span.blocks()));
        for (slot, place) in places() {
            if !is_shared || !Runs::is_held(m, place) {
                self.names.remove(slot);
            }
        }
        let ends_free = Place {
            run: first.run,
            at: blocks.end - 1,
        };
        if !is_shared || !Runs::is_held(m, ends_free) {
            self.runs.settle(m, first.run, blocks.end - 1);
        }
        true
    }

    fn remove(
        &mut self,
        m: &Shared,
        holder: Holder,
        hash: EngineHash,
        found: Option<(Slot, Place)>,
    ) {
        if let Some(place) = self.aliases.get(holder.replica, hash) {
            return self.remove_alias(m, holder, hash, place);
        }
        let holds = |place| Runs::is_live(m, place) && Runs::holds(m, place, holder);
        let found = match found {
            Some((_, place)) if holds(place) => found,
            _ => self.names.find(self.names.name(hash), holds),
        };
        let Some((slot, place)) = found else {
            return self.orphans.remove(holder, hash);
        };
        if self.runs.uncover(m, place, holder) && !Runs::is_held(m, place) {
            self.names.remove(slot);
            self.runs.settle(m, place.run, place.at);
        }
    }

    fn remove_alias(&mut self, m: &Shared, holder: Holder, hash: EngineHash, place: Place) {
        if !Runs::holds(m, place, holder) {
            return self.orphans.remove(holder, hash);
        }
        if !self.runs.uncover(m, place, holder) {
            return;
        }
        if !Self::holds_anywhere(m, place, holder.replica) {
            self.aliases.remove(holder.replica, hash);
        }
        if !Runs::is_held(m, place) {
            self.runs.settle(m, place.run, place.at);
        }
    }
}

/// How many from the first on are one block of a run after the other, all up or all down.
#[inline]
fn neighbours(dropped: &[Option<Dropped>]) -> usize {
    let place = |at: usize| Some(dropped.get(at).copied()??.found?.1);
    let Some(first) = place(0) else {
        return 1;
    };
    let is_next = |at: u16| place(1) == Some(Place { run: first.run, at });
    let step = if is_next(first.at.wrapping_sub(1)) {
        u16::MAX // one down
    } else if is_next(first.at.wrapping_add(1)) {
        1
    } else {
        return 1;
    };
    let mut at = first.at;
    1 + (1..dropped.len())
        .take_while(|number| {
            at = at.wrapping_add(step);
            place(*number) == Some(Place { run: first.run, at })
        })
        .count()
}
