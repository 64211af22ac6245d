//! A replica that prefills one request after another.

use super::{Rates, fetch::Found};
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<u32>,
    working: Option<(u32, Found)>,
}

impl Queue {
    pub(super) fn push(&mut self, number: u32) {
        self.waiting.push_back(number);
    }

    pub(super) fn running(&self) -> usize {
        usize::from(self.working.is_some())
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The request at work.
    pub(super) fn working(&self) -> Option<u32> {
        self.working.map(|(number, _)| number)
    }

    /// The next request, if the replica is idle.
    pub(super) fn next(&mut self) -> Option<u32> {
        match self.working {
            None => self.waiting.pop_front(),
            Some(_) => None,
        }
    }

    /// Works on a request that finds so much; for how long.
    pub(super) fn start(&mut self, number: u32, found: Found, rates: &Rates) -> f64 {
        self.working = Some((number, found));
        let prefill = found.computed as f64 / rates.prefill_tokens_s;
        rates.step_s + found.load_s(rates) + prefill
    }

    /// The request at work is done.
    pub(super) fn done(&mut self) -> Option<(u32, Found)> {
        self.working.take()
    }
}
