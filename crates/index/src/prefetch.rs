//! Asking for a cache line before it is needed.

/// Starts bringing the line of `what` into the cache; nothing where the machine can't.
#[inline(always)]
pub(crate) fn line<T>(what: &T) {
    #[cfg(target_arch = "x86_64")]
    #[expect(unsafe_code, reason = "the intrinsic takes a raw pointer")]
    // SAFETY: a prefetch reads nothing that the program can see and may be given any address;
    // SSE, which it needs, is part of x86_64.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(what).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = what;
}
