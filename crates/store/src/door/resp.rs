//! RESP: see [`onefill_wire::resp`].

mod command;
mod keys;
mod options;
mod server;
mod session;
mod strings;
mod users;

pub use options::{Profile, RespOptions};
pub use users::{User, Users};

pub(crate) use session::serve;
