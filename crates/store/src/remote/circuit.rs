//! An engine that fails again and again is left alone for a while. Pure: the time is an argument.

/// Failures in a row after which it is left alone.
const FAILURES: u32 = 3;
/// For how long at first, and at most.
const PAUSE_MS: (u64, u64) = (500, 30_000);

#[derive(Debug, Default)]
pub(super) struct Circuit {
    failures: u32,
    pause_ms: u64,
    closed_until_ms: u64,
}

impl Circuit {
    /// Whether it may be asked.
    pub(super) fn may_ask(&self, now_ms: u64) -> bool {
        now_ms >= self.closed_until_ms
    }

    /// When it may be asked again.
    pub(super) fn again_ms(&self) -> u64 {
        self.closed_until_ms
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Whether it is left alone from now on, and was not before.
    pub(super) fn failed(&mut self, now_ms: u64) -> bool {
        self.failures += 1;
        // Several may fail together: they count as one pause.
        if self.failures < FAILURES || !self.may_ask(now_ms) {
            return false;
        }
        let is_first = self.pause_ms == 0;
        self.pause_ms = (self.pause_ms * 2).clamp(PAUSE_MS.0, PAUSE_MS.1);
        self.closed_until_ms = now_ms + self.pause_ms;
        is_first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_end_it_for_longer_and_longer() {
        let mut circuit = Circuit::default();
        assert!(!circuit.failed(0) && !circuit.failed(0) && circuit.may_ask(0));
        assert!(circuit.failed(0));
        assert!(!circuit.may_ask(PAUSE_MS.0 - 1) && circuit.may_ask(PAUSE_MS.0));
        assert!(!circuit.failed(PAUSE_MS.0), "said once");
        assert_eq!(circuit.again_ms(), 3 * PAUSE_MS.0);
        for _ in 0..20 {
            circuit.failed(circuit.again_ms());
        }
        assert_eq!(circuit.pause_ms, PAUSE_MS.1);
        circuit.succeeded();
        assert!(circuit.may_ask(0));
    }
}
