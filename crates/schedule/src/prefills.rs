//! The prefills that one replica has before it, oldest first, and how far the first has come.

use smallvec::SmallVec;
use std::time::Duration;

/// Work: seconds, and the tokens that should take them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Work {
    /// Expected time.
    pub(crate) seconds: f64,
    /// Tokens to compute.
    pub(crate) computed_tokens: f64,
    /// Tokens to load, by tier.
    pub(crate) loaded_tokens: [f64; 4],
}

impl Work {
    fn add(&mut self, other: &Self, share: f64) {
        self.seconds += share * other.seconds;
        self.computed_tokens += share * other.computed_tokens;
        for (sum, tokens) in self.loaded_tokens.iter_mut().zip(other.loaded_tokens) {
            *sum += share * tokens;
        }
    }
}

/// Prefills not over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prefills {
    waiting: SmallVec<[(u64, Work); 4]>,
    /// When the first of them began: it came, or the one before it was over.
    since: Duration,
    /// The work of all but the first: it is asked for far more often than it changes.
    others: Work,
}

impl Prefills {
    /// All of it, less what must be done by now of the first. A replica that stalls has the others
    /// still to do, however long it stalls.
    pub(crate) fn left(&self, now: Duration) -> Work {
        let mut left = self.others;
        if let Some((_, first)) = self.waiting.first() {
            let age_s = now.saturating_sub(self.since).as_secs_f64();
            let done = if first.seconds > 0.0 {
                (age_s / first.seconds).min(1.0)
            } else {
                0.0
            };
            left.add(first, 1.0 - done);
        }
        left
    }

    /// One more.
    pub(crate) fn push(&mut self, now: Duration, id: u64, work: Work) {
        if self.waiting.is_empty() {
            self.since = now;
        } else {
            self.others.add(&work, 1.0);
        }
        self.waiting.push((id, work));
    }

    /// One is over, or never will be.
    pub(crate) fn remove(&mut self, now: Duration, id: u64) {
        let place = self.waiting.iter().position(|(waiting, _)| *waiting == id);
        if let Some(place) = place {
            self.waiting.remove(place);
            self.since = now;
            // Summed anew, so that nothing is left of what was taken out.
            self.others = Work::default();
            let others = self.waiting.iter().skip(1);
            others.for_each(|(_, work)| self.others.add(work, 1.0));
        }
    }
}

#[cfg(test)]
mod tests;
