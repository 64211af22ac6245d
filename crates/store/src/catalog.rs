//! What is in memory, under which key: records, their places in the order of eviction, leases,
//! ends of life and the memory of what has gone. No IO and no clock: `now_ms` is an argument.
//!
//! One lock stands around it (see [`crate::Store`]); nothing in here waits.

mod expiry;
mod graves;
mod leases;
mod record;
mod scan;
mod table;

pub use graves::Gone;
pub use record::{Attributes, Condition, Put, RECORD_BYTES, Stored};
pub use scan::Page;
pub use table::{Catalog, Count, Inserted, Limits};
pub(crate) use table::{mark, spread};

#[cfg(test)]
mod tests;
