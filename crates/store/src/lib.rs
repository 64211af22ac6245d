//! Blocks in tiers: admission, placement, eviction, leases.
//!
//! ```text
//! door (lm, RESP) -> View -> Store -> catalog   which blocks are there (onefill-evict: which goes next)
//!                                  -> memory    where their bytes lie
//!                                  -> disk      where they lie too, behind memory
//! ```
//!
//! A block is visible only once all its bytes are there, and leaves only once its bytes have been
//! compared with the checksum that was taken when they came in.
#![forbid(unsafe_code)]

mod admin;
pub mod catalog;
pub mod disk;
pub mod door;
mod ledger;
pub mod memory;
mod metrics;
mod namespace;
mod serve;
mod store;

pub use ledger::{Counter, Door, Ledger, Refusal};
pub use namespace::{NAMESPACES_MAX, Namespace, NamespaceId, Namespaces};
pub use serve::{Config, Connections, Listener, Speaks, run};
pub use store::{KEY_MAX, Stat, Store, StoreConfig, View};
