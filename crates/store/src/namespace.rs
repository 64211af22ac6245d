//! Namespaces: everything that must agree before two engines may share bytes has one name. A key
//! means something only within one.

use crate::ledger::{Door, Ledger};
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::sync::{Arc, atomic::AtomicU64};

/// Namespaces that may be opened. They live as long as the store.
pub const NAMESPACES_MAX: usize = 4096;

/// A namespace's number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct NamespaceId(pub u32);

/// One namespace.
#[derive(Debug)]
pub struct Namespace {
    /// Its number.
    pub id: NamespaceId,
    /// Its name.
    pub name: String,
    /// Blocks of another size are refused, where this is set.
    pub block_bytes: Option<usize>,
    /// Size of the block that was put last; 0 before the first.
    pub recent_bytes: AtomicU64,
    ledger: [Ledger; Door::ALL.len()],
}

impl Namespace {
    /// What a door did in it.
    #[must_use]
    pub fn ledger(&self, door: Door) -> &Ledger {
        &self.ledger[door as usize]
    }
}

/// All namespaces.
#[derive(Default, Debug)]
pub struct Namespaces(Mutex<Opened>);

#[derive(Default, Debug)]
struct Opened {
    by_name: HashMap<String, Arc<Namespace>>,
    all: Vec<Arc<Namespace>>,
}

impl Namespaces {
    /// The namespace of that name, opened if it isn't; `None` at [`NAMESPACES_MAX`].
    pub fn open(&self, name: &str, block_bytes: Option<usize>) -> Option<Arc<Namespace>> {
        let mut opened = self.0.lock();
        if let Some(namespace) = opened.by_name.get(name) {
            return Some(Arc::clone(namespace));
        }
        if opened.all.len() >= NAMESPACES_MAX {
            return None;
        }
        let namespace = Arc::new(Namespace {
            id: NamespaceId(u32::try_from(opened.all.len()).ok()?),
            name: name.to_owned(),
            block_bytes,
            recent_bytes: AtomicU64::new(0),
            ledger: Default::default(),
        });
        opened.all.push(Arc::clone(&namespace));
        opened
            .by_name
            .insert(name.to_owned(), Arc::clone(&namespace));
        Some(namespace)
    }

    /// All of them, in the order in which they were opened.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Namespace>> {
        self.0.lock().all.clone()
    }
}
