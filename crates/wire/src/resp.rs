//! RESP2 and RESP3, the server's side ([specification]), and what `LMCache`'s native client makes
//! of it ([`lmcache`]).
//!
//! ```text
//! command   *<arguments>\r\n  then each  $<bytes>\r\n<bytes>\r\n     (or words on a line)
//! replies   +text\r\n  -error\r\n  :number\r\n  $<bytes>\r\n<bytes>\r\n  *<items>\r\n...
//!           RESP2: nil $-1\r\n   map *<2 x pairs>\r\n
//!           RESP3: nil _\r\n     map %<pairs>\r\n
//! ```
//!
//! [specification]: https://redis.io/docs/latest/develop/reference/protocol-spec/

mod glob;
pub mod lmcache;
mod parse;
mod reply;

pub use glob::glob;
pub use parse::{ARGS_BYTES_MAX, ARGS_MAX, Args, Event, Parser, RespError, SHORT_ARG_MAX};
pub use reply::{Protocol, Writer};

#[cfg(test)]
mod tests;
