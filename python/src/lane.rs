//! A bounded queue in front of some threads.

use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;

/// Calls that wait for a thread; past it a call fails at once.
const WAITING_MAX: usize = 4096;

pub struct Lane<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
}

struct State<T> {
    waiting: VecDeque<T>,
    closed: bool,
}

impl<T> Lane<T> {
    pub fn new() -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                closed: false,
            }),
            arrived: Condvar::new(),
        }
    }

    /// Hands a job to the threads; gives it back if the lane is full or closed.
    pub fn push(&self, job: T) -> Result<(), T> {
        let mut state = self.state.lock();
        if state.closed || state.waiting.len() >= WAITING_MAX {
            return Err(job);
        }
        state.waiting.push_back(job);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// The next job; none once the lane is closed and empty.
    pub fn next(&self) -> Option<T> {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.waiting.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            self.arrived.wait(&mut state);
        }
    }

    pub fn close(&self) {
        self.state.lock().closed = true;
        self.arrived.notify_all();
    }
}
