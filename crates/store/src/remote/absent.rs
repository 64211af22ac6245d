//! Keys that the remote did not have a moment ago: asking again at once would cost a round trip for
//! the same answer.

use crate::namespace::NamespaceId;
use hashbrown::HashMap;
use std::hash::{BuildHasher as _, RandomState};

/// How long an absence is believed. Another store's block is seen so much later at most.
const BELIEVED_MS: u64 = 1000;
/// Keys remembered; beyond it all are forgotten.
const KEYS_MAX: usize = 1 << 16;

#[derive(Debug, Default)]
pub(super) struct Absent {
    until_ms: HashMap<u64, u64>,
    hasher: RandomState,
}

impl Absent {
    pub(super) fn note(&mut self, namespace: NamespaceId, key: &[u8], now_ms: u64) {
        if self.until_ms.len() >= KEYS_MAX {
            self.until_ms.clear();
        }
        let hash = self.hasher.hash_one((namespace, key));
        self.until_ms.insert(hash, now_ms + BELIEVED_MS);
    }

    pub(super) fn forget(&mut self, namespace: NamespaceId, key: &[u8]) {
        let hash = self.hasher.hash_one((namespace, key));
        self.until_ms.remove(&hash);
    }

    pub(super) fn believes(&self, namespace: NamespaceId, key: &[u8], now_ms: u64) -> bool {
        let hash = self.hasher.hash_one((namespace, key));
        self.until_ms
            .get(&hash)
            .is_some_and(|until| *until > now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absence_is_believed_for_a_moment_and_not_after_a_write() {
        let mut absent = Absent::default();
        let (a, b) = (NamespaceId(1), NamespaceId(2));
        absent.note(a, b"key", 10);
        assert!(absent.believes(a, b"key", 10 + BELIEVED_MS - 1));
        assert!(!absent.believes(a, b"key", 10 + BELIEVED_MS));
        assert!(!absent.believes(b, b"key", 10));
        absent.forget(a, b"key");
        assert!(!absent.believes(a, b"key", 10));
    }

    #[test]
    fn it_has_a_bound() {
        let mut absent = Absent::default();
        for number in 0..2 * KEYS_MAX {
            absent.note(NamespaceId(0), &number.to_le_bytes(), 0);
        }
        assert!(absent.until_ms.len() <= KEYS_MAX);
    }
}
