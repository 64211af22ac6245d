//! Which batches of a feed to apply, when to ask for old ones, when to give up and begin anew.
//! Pure: `(state, batch) -> verdict`.
//!
//! vLLM numbers batches from 0 in each process. Its publisher drops silently past a bound, so a
//! hole in the numbers means lost events: they are asked for again (the replay socket keeps the
//! last 10,000) and, if they can't be had, what is known of the replica is thrown away.

/// How far a feed has been read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sequence {
    /// Number of the next batch.
    next: Option<u64>,
    /// When the last applied batch was published, Unix seconds.
    published_s: f64,
    /// Whether every event since the replica's cache was empty has been applied.
    complete: bool,
}

/// What to do with a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// The next one: apply it.
    Apply,
    /// Applied before: skip it.
    Known,
    /// Batches from this number on are missing: ask for them, then judge this one again.
    Missing(u64),
    /// The replica began anew: forget what it held, then apply this one.
    Restarted,
}

impl Sequence {
    /// A feed of which everything before batch `next` was applied.
    pub(crate) fn resumed(next: u64, published_s: f64) -> Self {
        Self {
            next: Some(next),
            published_s,
            complete: true,
        }
    }

    /// Number of the batch that comes next, as far as is known.
    pub(crate) fn next(&self) -> u64 {
        self.next.unwrap_or(0)
    }

    /// Whether everything the replica holds is known.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// The replica said that it is empty, or holds no more than what is known.
    pub(crate) fn completed(&mut self) {
        self.complete = true;
    }

    /// A feed that nothing was ever published on: the cache is as empty as what is known of it.
    pub(crate) fn nothing_published(&mut self) {
        if self.next.is_none() {
            self.next = Some(0);
            self.complete = true;
        }
    }

    /// Judges a batch that came by itself.
    pub(crate) fn live(&self, seq: u64, published_s: f64) -> Verdict {
        match self.next {
            None if seq == 0 => Verdict::Apply,
            None => Verdict::Missing(0),
            Some(next) if seq == next => Verdict::Apply,
            Some(next) if seq > next => Verdict::Missing(next),
            // An old number with a new time: the process was replaced.
            Some(_) if published_s > self.published_s => Verdict::Restarted,
            Some(_) => Verdict::Known,
        }
    }

    /// Notes a batch as applied.
    pub(crate) fn applied(&mut self, seq: u64, published_s: f64) {
        // The first batch of a process finds an empty cache.
        self.complete |= seq == 0;
        self.next = Some(seq + 1);
        self.published_s = published_s;
    }

    /// Missing batches can't be had: what was known is void, `seq` is where to go on.
    pub(crate) fn lost(&mut self, seq: u64) {
        self.next = Some(seq);
        self.complete = seq == 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seqs: &[u64]) -> Sequence {
        let mut sequence = Sequence::default();
        for seq in seqs {
            sequence.applied(*seq, 100.0 + *seq as f64);
        }
        sequence
    }

    #[test]
    fn from_the_first_batch_on_all_is_known() {
        let sequence = after(&[0, 1, 2]);
        assert!(sequence.is_complete());
        assert_eq!(sequence.live(3, 103.0), Verdict::Apply);
        assert_eq!(sequence.live(2, 102.0), Verdict::Known);
    }

    #[test]
    fn a_hole_is_asked_for_and_if_lost_voids_what_was_known() {
        let mut sequence = after(&[0, 1]);
        assert_eq!(sequence.live(5, 105.0), Verdict::Missing(2));
        sequence.lost(5);
        assert!(!sequence.is_complete());
        assert_eq!(sequence.live(5, 105.0), Verdict::Apply);
        sequence.completed();
        assert!(sequence.is_complete());
    }

    #[test]
    fn a_late_subscriber_asks_from_the_start() {
        assert_eq!(Sequence::default().live(7, 1.0), Verdict::Missing(0));
        let mut sequence = Sequence::default();
        sequence.applied(7, 1.0);
        assert!(!sequence.is_complete(), "what came before 7 is not known");
    }

    #[test]
    fn an_old_number_with_a_new_time_is_a_restart() {
        let mut sequence = after(&[0, 1, 2]);
        assert_eq!(sequence.live(0, 200.0), Verdict::Restarted);
        assert_eq!(sequence.live(1, 101.0), Verdict::Known);
        sequence.lost(0);
        sequence.applied(0, 200.0);
        assert!(sequence.is_complete());
    }

    #[test]
    fn silence_from_the_start_is_an_empty_cache() {
        let mut sequence = Sequence::default();
        sequence.nothing_published();
        assert!(sequence.is_complete());
        assert_eq!(sequence.live(0, 1.0), Verdict::Apply);
    }
}
