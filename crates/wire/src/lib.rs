//! The store's protocols as bytes, without IO: [`lm`] (what `LMCache` clients speak to
//! `lmcache_server`), [`resp`] (what Redis clients speak), [`native`] (our own). [`client`] is the
//! native one's client, the only module here that touches a socket; [`pem`] reads what TLS needs at both ends.
//!
//! A codec turns bytes into a type in which the wrong state can't be written, and back. It never
//! waits, reads a clock or holds more than the bound that it names.
#![forbid(unsafe_code)]

pub mod client;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod lm;
pub mod native;
pub mod pem;
pub mod resp;
