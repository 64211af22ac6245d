//! How a RESP listener behaves.

use super::Users;

/// When a connection is answered as `LMCache`'s native client reads
/// ([`onefill_wire::resp::lmcache`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Profile {
    /// When it behaves like that client: only its five commands, keys of its form.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How a RESP listener behaves.
#[derive(Clone, Debug, Default)]
pub struct RespOptions {
    /// See [`Profile`].
    pub profile: Profile,
    /// Whether FLUSHDB and FLUSHALL are obeyed.
    pub allow_flush: bool,
    /// Who may come in; anybody if there is none.
    pub users: Users,
}
