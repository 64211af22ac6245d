//! Blocks in tiers: admission, placement, eviction, leases.
//!
//! ```text
//! door (lm, RESP) -> View -> Store -> catalog   which blocks are there (onefill-evict: which goes next)
//!                                  -> memory    where their bytes lie
//!                                  -> disk      where they lie too, behind memory
//!                                  -> remote    and beyond this machine
//! ```
//!
//! A block is visible only once all its bytes are there, and leaves only once its bytes have been
//! compared with the checksum that was taken when they came in.
#![forbid(unsafe_code)]

mod admin;
pub mod catalog;
pub mod disk;
pub mod door;
mod flights;
mod keys;
mod ledger;
pub mod memory;
mod metrics;
mod namespace;
pub mod remote;
mod serve;
mod store;

pub use admin::{Admins, written};
pub use ledger::{Counter, Door, Ledger, Refusal};
pub use namespace::{NAMESPACES_MAX, Namespace, NamespaceId, Namespaces};
pub use serve::{Config, Connections, Listener, Speaks, Tls, TlsError, TlsFiles, WindowsAt, run};
pub use store::{KEY_MAX, OpenError, Sound, Stat, Store, StoreConfig, View};
