//! Ends of life.

use super::{graves::Gone, table::Catalog};
use crate::namespace::NamespaceId;
use hashbrown::HashMap;
use std::collections::BTreeSet;

/// When blocks end: of those that do.
#[derive(Default, Debug)]
pub(super) struct Ends {
    of: HashMap<u32, u64>,
    /// The next one first.
    order: BTreeSet<(u64, u32)>,
}

impl Ends {
    pub(super) fn get(&self, id: u32) -> Option<u64> {
        self.of.get(&id).copied()
    }

    /// Sets or takes away an end.
    pub(super) fn set(&mut self, id: u32, end_ms: Option<u64>) {
        let before = match end_ms {
            Some(end) => self.of.insert(id, end),
            None => self.of.remove(&id),
        };
        if let Some(before) = before {
            self.order.remove(&(before, id));
        }
        if let Some(end) = end_ms {
            self.order.insert((end, id));
        }
    }

    /// A block whose time is over.
    pub(super) fn over(&self, now_ms: u64) -> Option<u32> {
        let (end, id) = *self.order.first()?;
        (end <= now_ms).then_some(id)
    }

    /// All that have one.
    pub(super) fn len(&self) -> usize {
        self.of.len()
    }
}

impl Catalog {
    /// Sets or takes away a block's end; whether there is such a block.
    pub fn expire(
        &mut self,
        namespace: NamespaceId,
        key: &[u8],
        end_ms: Option<u64>,
        now_ms: u64,
    ) -> bool {
        let Some(id) = self.live(namespace, key, now_ms) else {
            return false;
        };
        self.ends.set(id, end_ms);
        true
    }

    /// When a block ends: `None` where there is no such block, `Some(None)` where it has no end.
    pub fn ends(&mut self, namespace: NamespaceId, key: &[u8], now_ms: u64) -> Option<Option<u64>> {
        let id = self.live(namespace, key, now_ms)?;
        Some(self.ends.get(id))
    }

    /// Takes out up to `most` blocks whose time is over; how many there were.
    pub fn sweep(&mut self, most: usize, now_ms: u64) -> usize {
        let mut swept = 0;
        while swept < most
            && let Some(id) = self.ends.over(now_ms)
        {
            self.take_out(id, Gone::Expired);
            swept += 1;
        }
        swept
    }
}
