//! Memory from the system in pieces of 2 MiB, which the system is asked to map as one page each.
//! The index is read in random order: with pages of 4 KiB, half of a cache miss is the walk to the
//! page, above all in a virtual machine.

#![expect(
    unsafe_code,
    reason = "2 MiB can't be made on the stack, and advice about pages takes a raw pointer"
)]

/// Bytes of a piece.
pub(crate) const PIECE_BYTES: usize = 2 << 20;

/// A piece of `N` values.
#[derive(Debug)]
#[repr(C, align(0x20_0000))]
pub(crate) struct Piece<T, const N: usize>(pub(crate) [T; N]);

/// Types of which zero bytes are a value.
///
/// # Safety
/// A value whose bytes are all zero must be valid.
pub(crate) unsafe trait Zero {}

// SAFETY: eight atomic integers.
unsafe impl Zero for crate::memory::Line {}
// SAFETY: arrays of integers, and an integer.
unsafe impl Zero for crate::names::Bucket {}

/// A piece of zeros.
pub(crate) fn zeros<T: Zero, const N: usize>() -> Box<Piece<T, N>> {
    let mut piece = Box::<Piece<T, N>>::new_uninit();
    // Before anything is written: what has small pages already keeps them.
    advise(piece.as_mut_ptr().cast());
    // SAFETY: the box is as large as one piece; zeros are a value of each `T` ([`Zero`]), so of an
    // array of them.
    unsafe {
        piece.as_mut_ptr().write_bytes(0, 1);
        piece.assume_init()
    }
}

/// Asks for large pages. Nothing depends on the answer.
fn advise(piece: *mut core::ffi::c_void) {
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        use rustix::mm::{Advice, madvise};
        // SAFETY: the memory is ours, aligned and as long as said; nothing has been written there.
        unsafe { madvise(piece, PIECE_BYTES, Advice::LinuxHugepage) }.ok();
    }
    #[cfg(not(all(target_os = "linux", not(miri))))]
    let _ = piece;
}

#[cfg(test)]
mod tests;
