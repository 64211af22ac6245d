//! Blocks that are being read from a lower tier: one task reads, others wait for it.

use crate::namespace::NamespaceId;
use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::Notify;

type Name = (NamespaceId, Box<[u8]>);

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    /// Whether the key was written or taken out since the read began.
    spoilt: Mutex<HashMap<Name, bool>>,
    landed: Notify,
}

impl Flights {
    /// Waits until nobody else reads this block; `None` where somebody did: it may be in memory now.
    pub(crate) async fn take_off(&self, namespace: NamespaceId, key: &[u8]) -> Option<Flight<'_>> {
        let name = (namespace, Box::from(key));
        let mut has_waited = false;
        loop {
            let landed = self.landed.notified();
            tokio::pin!(landed);
            landed.as_mut().enable();
            {
                // Looked up and taken under one lock: two would both be the first else.
                let mut spoilt = self.spoilt.lock();
                if !spoilt.contains_key(&name) {
                    if has_waited {
                        return None;
                    }
                    spoilt.insert(name.clone(), false);
                    return Some(Flight {
                        flights: self,
                        name,
                    });
                }
            }
            has_waited = true;
            landed.await;
        }
    }

    /// A key was written or taken out: what is being read of it is old.
    pub(crate) fn spoil(&self, namespace: NamespaceId, key: &[u8]) {
        let mut spoilt = self.spoilt.lock();
        if !spoilt.is_empty()
            && let Some(spoilt) = spoilt.get_mut(&(namespace, Box::from(key)))
        {
            *spoilt = true;
        }
    }
}

/// A block that one task reads while others wait.
#[derive(Debug)]
pub(crate) struct Flight<'f> {
    flights: &'f Flights,
    name: Name,
}

impl Flight<'_> {
    /// Whether what it reads is old by now.
    pub(crate) fn is_spoilt(&self) -> bool {
        self.flights.spoilt.lock().get(&self.name) == Some(&true)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.flights.spoilt.lock().remove(&self.name);
        self.flights.landed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use std::sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering::SeqCst},
    };

    const ROUNDS: usize = 20_000;

    #[test]
    fn of_two_who_come_at_once_one_reads() {
        let (flights, barrier) = (Flights::default(), Barrier::new(2));
        let readers: Vec<AtomicUsize> = (0..ROUNDS).map(|_| AtomicUsize::new(0)).collect();
        let come = || {
            for count in &readers {
                barrier.wait();
                let flight = flights.take_off(NamespaceId(0), b"key").now_or_never();
                count.fetch_add(usize::from(matches!(flight, Some(Some(_)))), SeqCst);
                // Held until both have come, and gone before the next round.
                barrier.wait();
                drop(flight);
                barrier.wait();
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(come);
            scope.spawn(come);
        });
        assert!(readers.iter().all(|count| count.load(SeqCst) == 1));
        assert!(flights.spoilt.lock().is_empty());
    }
}
