//! Media of the wire.

use onefill_kv::Tier;

/// The tier of a medium: vLLM's names, in capitals since 0.27 and in small letters by some
/// connectors. `None`: not known. A medium that is left out is the engine's own cache.
pub(super) fn of(medium: Option<&[u8]>, locality: Option<&[u8]>) -> Option<Tier> {
    match (medium, locality) {
        (None | Some(b"GPU" | b"gpu"), _) => Some(Tier::Gpu),
        (Some(b"CPU" | b"cpu"), _) => Some(Tier::Cpu),
        (Some(b"STORAGE" | b"storage"), Some(b"REMOTE")) => Some(Tier::Remote),
        (Some(b"STORAGE" | b"storage"), _) => Some(Tier::Disk),
        (Some(_), _) => None,
    }
}
