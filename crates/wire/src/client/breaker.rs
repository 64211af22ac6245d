//! When a store that can't be reached is tried again. A machine: time is an argument.

use std::time::{Duration, Instant};

const REST_MIN: Duration = Duration::from_millis(100);
const REST_MAX: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Breaker {
    rest: Option<(Instant, Duration)>,
}

impl Breaker {
    /// Whether the store may be tried. The caller that is told so is the one that tries: others
    /// go on resting until it has an answer.
    pub(super) fn may_try(&mut self, now: Instant) -> bool {
        match self.rest {
            Some((until, _)) if now < until => false,
            Some((_, rest)) => {
                self.rest = Some((now + rest, rest));
                true
            }
            None => true,
        }
    }

    pub(super) fn reached(&mut self) {
        self.rest = None;
    }

    pub(super) fn failed(&mut self, now: Instant) {
        let rest = self.rest.map_or(REST_MIN, |(_, rest)| rest * 2);
        let rest = rest.min(REST_MAX);
        self.rest = Some((now + rest, rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_and_end() {
        let mut breaker = Breaker::default();
        let start = Instant::now();
        assert!(breaker.may_try(start));
        breaker.failed(start);
        assert!(!breaker.may_try(start + REST_MIN / 2));
        assert!(breaker.may_try(start + REST_MIN));
        assert!(!breaker.may_try(start + REST_MIN), "one tries, not all");
        let mut now = start;
        for _ in 0..20 {
            now += REST_MAX;
            breaker.failed(now);
        }
        assert!(!breaker.may_try(now + REST_MAX / 2));
        assert!(breaker.may_try(now + REST_MAX));
        breaker.reached();
        assert!(breaker.may_try(now));
    }
}
