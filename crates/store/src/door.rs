//! The doors: protocols on sockets. They hold no rule of their own about what stays and what goes.

mod conn;
mod error;
mod lm;
mod native;
mod resp;
mod secret;

pub use error::DoorError;
pub use native::NativeOptions;
pub use resp::{Profile, RespOptions, User, Users};

pub(crate) use conn::Conn;
pub(crate) use lm::serve as serve_lm;
pub(crate) use native::serve as serve_native;
pub(crate) use resp::serve as serve_resp;
pub(crate) use secret::is_same;

#[cfg(test)]
mod tests;
