//! Ends of life.

use super::{graves::Gone, record::NEVER, table::Catalog};
use crate::namespace::NamespaceId;

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
        let Some(record) = self.record_mut(id) else {
            return false;
        };
        let before = record.expires_ms();
        record.end_ms = end_ms.unwrap_or(NEVER);
        self.move_end(id, before, end_ms);
        true
    }

    /// When a block ends: `None` where there is no such block, `Some(None)` where it has no end.
    pub fn ends(&mut self, namespace: NamespaceId, key: &[u8], now_ms: u64) -> Option<Option<u64>> {
        let id = self.live(namespace, key, now_ms)?;
        Some(self.record(id)?.expires_ms())
    }

    /// Takes out up to `most` blocks whose time is over; how many there were.
    pub fn sweep(&mut self, most: usize, now_ms: u64) -> usize {
        let mut swept = 0;
        while swept < most {
            let Some((end, id)) = self.ends.first().copied() else {
                break;
            };
            if end > now_ms {
                break;
            }
            self.take_out(id, Gone::Expired);
            swept += 1;
        }
        swept
    }

    pub(super) fn move_end(&mut self, id: u32, before: Option<u64>, after: Option<u64>) {
        if let Some(end) = before {
            self.ends.remove(&(end, id));
        }
        if let Some(end) = after {
            self.ends.insert((end, id));
        }
    }
}
