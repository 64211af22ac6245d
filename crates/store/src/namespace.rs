//! Namespaces: everything that must agree before two engines may share bytes has one name. A key
//! means something only within one.

use crate::{
    catalog::Attributes,
    ledger::{Door, Ledger},
};
use hashbrown::{HashMap, HashSet};
use onefill_wire::lm::Layout;
use parking_lot::Mutex;
use std::sync::{Arc, atomic::AtomicU64};

/// Namespaces that may be opened. They live as long as the store.
pub const NAMESPACES_MAX: usize = 4096;

/// Layouts that are kept of a namespace before those that no block has are looked for.
const LAYOUTS_MIN: usize = 64;

/// A namespace's number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct NamespaceId(pub u16);

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
    layouts: Mutex<Layouts>,
}

/// Layouts of blocks, and how many there may be before those that no block has are forgotten.
#[derive(Default, Debug)]
struct Layouts(HashSet<Arc<Layout>>, usize);

impl Namespace {
    /// The same attributes, in memory once for all blocks that have them.
    #[must_use]
    pub fn share(&self, attributes: Attributes) -> Attributes {
        let Attributes::Lm(layout) = attributes else {
            return attributes;
        };
        let Layouts(all, most) = &mut *self.layouts.lock();
        if let Some(known) = all.get(&layout) {
            return Attributes::Lm(Arc::clone(known));
        }
        if all.len() >= *most {
            all.retain(|layout| Arc::strong_count(layout) > 1);
            *most = (2 * all.len()).max(LAYOUTS_MIN);
        }
        all.insert(Arc::clone(&layout));
        Attributes::Lm(layout)
    }

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
            id: NamespaceId(u16::try_from(opened.all.len()).ok()?),
            name: name.to_owned(),
            block_bytes,
            recent_bytes: AtomicU64::new(0),
            ledger: Default::default(),
            layouts: Mutex::default(),
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
