//! Walking over the keys of a namespace.

use super::table::Catalog;
use crate::namespace::NamespaceId;

/// Slots that one step looks at, whatever it finds: a bound on how long the lock is held.
const SLOTS_MAX: usize = 4096;

/// Some keys, and where to go on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// Keys and their blocks' sizes.
    pub keys: Vec<(Box<[u8]>, usize)>,
    /// Where to go on; 0 at the end.
    pub next: u64,
}

impl Catalog {
    /// Up to `count` keys from `cursor` on. A block that is there from the first step to the last
    /// is found, once: its slot is its place.
    #[must_use]
    pub fn scan(&self, namespace: NamespaceId, cursor: u64, count: usize, now_ms: u64) -> Page {
        let mut page = Page::default();
        let start = usize::try_from(cursor).unwrap_or(usize::MAX);
        for (index, slot) in self.slots.iter_from(start) {
            if page.keys.len() >= count || index - start >= SLOTS_MAX {
                page.next = index as u64;
                return page;
            }
            if let Some(record) = slot
                && record.namespace == namespace
                && !self.is_over(index as u32, now_ms)
            {
                let name = self.keys.name(&record.key);
                page.keys.push((name, record.stored.block.len()));
            }
        }
        page
    }
}
