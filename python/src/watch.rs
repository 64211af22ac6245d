//! Whether the store answers. After one call that it left unanswered, this thread asks on behalf of
//! all others: a store that hangs costs its engine one time-out, not one every now and then.

use onefill_wire::client::{Client, ClientError};
use parking_lot::{Condvar, Mutex};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// Rest before the first question; it doubles up to the longest.
const REST: Duration = Duration::from_millis(250);
const REST_MAX: Duration = Duration::from_secs(2);
/// How long an answer may take. Slower than this, a store is of no use to a request that waits.
const ANSWER: Duration = Duration::from_millis(500);
/// A key that nobody has.
const KEY: &[u8] = b"onefill-watch";

#[derive(Default)]
pub struct Watch {
    silent: AtomicBool,
    closed: Mutex<bool>,
    woken: Condvar,
}

impl Watch {
    pub fn is_reachable(&self) -> bool {
        !self.silent.load(Ordering::Relaxed)
    }

    /// A call went unanswered.
    pub fn fell_silent(&self) {
        // Under the lock, so that the thread can't miss it between its look and its sleep.
        let _closed = self.closed.lock();
        self.silent.store(true, Ordering::Relaxed);
        self.woken.notify_all();
    }

    pub fn close(&self) {
        *self.closed.lock() = true;
        self.woken.notify_all();
    }

    /// Until it is closed: whenever the store fell silent, asks it until it answers.
    pub fn run(&self, wire: &Client) {
        let mut rest = REST;
        loop {
            let mut closed = self.closed.lock();
            while !*closed && self.is_reachable() {
                rest = REST;
                self.woken.wait(&mut closed);
            }
            if !*closed {
                self.woken.wait_for(&mut closed, rest);
            }
            if *closed {
                return;
            }
            drop(closed);
            match wire.exists(&[KEY], false, ANSWER) {
                // A refusal is an answer; what it means is for the caller of the next call.
                Ok(_) | Err(ClientError::Refused { .. }) => {
                    self.silent.store(false, Ordering::Relaxed);
                }
                Err(_) => rest = (2 * rest).min(REST_MAX),
            }
        }
    }
}
