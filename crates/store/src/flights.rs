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
            if !self.spoilt.lock().contains_key(&name) {
                return (!has_waited).then(|| self.begin(name));
            }
            has_waited = true;
            landed.await;
        }
    }

    fn begin(&self, name: Name) -> Flight<'_> {
        self.spoilt.lock().insert(name.clone(), false);
        Flight {
            flights: self,
            name,
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
