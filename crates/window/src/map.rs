//! The memory itself. The only place of the store and its clients with unsafe code.

#![expect(
    unsafe_code,
    reason = "memory that another process writes can be neither mapped nor read in safe Rust"
)]

use super::Outside;
use rustix::{
    cmsg_space,
    fs::{
        FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, fcntl_get_seals, fstat,
        ftruncate, memfd_create,
    },
    mm::{MapFlags, ProtFlags, mmap, munmap},
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
    },
    rand::{GetRandomFlags, getrandom},
};
use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    ptr::{self, NonNull},
};

/// The file of a window neither shrinks nor grows, for ever.
const SEALS: SealFlags = SealFlags::SHRINK
    .union(SealFlags::GROW)
    .union(SealFlags::SEAL);
/// The byte that a file travels with.
const LETTER: u8 = b'w';

/// Memory that two processes share.
#[derive(Debug)]
pub struct Window {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to this value alone, and is not bound to a thread.
unsafe impl Send for Window {}
// SAFETY: all access is a copy to or from memory that may change at any time anyway.
unsafe impl Sync for Window {}

impl Window {
    /// Makes a window of `len` bytes, all of them there at once; and the file to hand to the other
    /// process.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn make(len: usize) -> io::Result<(Self, OwnedFd)> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = memfd_create("onefill-window", flags)?;
        ftruncate(&file, len as u64)?;
        fallocate(&file, FallocateFlags::empty(), 0, len as u64)?;
        fcntl_add_seals(&file, SEALS)?;
        Ok((Self::map(&file, len)?, file))
    }

    /// Maps a window of `len` bytes that was taken from another process.
    ///
    /// # Errors
    /// Its length is another one, or not sealed; or there is no room for it.
    pub fn open(file: &OwnedFd, len: usize) -> io::Result<Self> {
        // Seals first: a length that is read before them could be another one by then.
        if !fcntl_get_seals(file)?.contains(SEALS) {
            return Err(invalid("a window whose length is not sealed"));
        }
        if u64::try_from(fstat(file)?.st_size) != Ok(len as u64) {
            return Err(invalid("a window of another length than was said"));
        }
        Self::map(file, len)
    }

    fn map(file: &OwnedFd, len: usize) -> io::Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        // SAFETY: a new mapping at a place of the system's choice, so nothing else lies there.
        let start = unsafe { mmap(ptr::null_mut(), len, access, flags, file, 0) }?;
        let start = NonNull::new(start.cast()).ok_or_else(|| invalid("a mapping at 0"))?;
        Ok(Self { start, len })
    }

    /// Its bytes' number.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies the bytes at `at` out.
    ///
    /// # Errors
    /// Some of them are not within.
    pub fn read(&self, at: usize, into: &mut [u8]) -> Result<(), Outside> {
        let from = self.place(at, into.len())?;
        // SAFETY: both are valid for so many bytes: `place` has checked it for the window, whose length
        // is sealed, so that no page of it can be missing. They don't overlap: `into` is Rust's, and no
        // reference into the window is ever made. The other process may write these bytes meanwhile:
        // then the copy holds some of the old and some of the new ones, and whoever relies on bytes
        // checks the copy. No decision is taken on bytes of the window itself.
        unsafe { ptr::copy_nonoverlapping(from, into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    /// Copies bytes in, to `at`.
    ///
    /// # Errors
    /// There is no such place for some of them.
    pub fn write(&self, at: usize, bytes: &[u8]) -> Result<(), Outside> {
        let into = self.place(at, bytes.len())?;
        // SAFETY: as above, the other way round; what the other process reads meanwhile is its affair.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), into, bytes.len()) };
        Ok(())
    }

    fn place(&self, at: usize, len: usize) -> Result<*mut u8, Outside> {
        if at.checked_add(len).is_none_or(|end| end > self.len) {
            let window = self.len;
            return Err(Outside { at, len, window });
        }
        // SAFETY: `at` is not behind the mapping's end.
        Ok(unsafe { self.start.as_ptr().add(at) })
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, is unmapped once, and nothing refers into it.
        unsafe { munmap(self.start.as_ptr().cast(), self.len) }.ok();
    }
}

/// Hands a window's file to the process at the other end of a Unix socket.
///
/// # Errors
/// The socket's own.
pub fn hand(socket: impl AsFd, file: &OwnedFd) -> io::Result<()> {
    let files = [file.as_fd()];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&files));
    let letter = [IoSlice::new(&[LETTER])];
    sendmsg(socket, &letter, &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Takes the file that [`hand`] sent.
///
/// # Errors
/// The socket's own, or that none came.
pub fn take(socket: impl AsFd) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut letter = [0];
    let mut parts = [IoSliceMut::new(&mut letter)];
    recvmsg(socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let file = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    file.ok_or_else(|| invalid("no window came"))
}

/// A number that nobody can guess.
///
/// # Errors
/// The system gives none.
pub fn secret() -> io::Result<u128> {
    let mut bytes = [0; 16];
    // So few bytes come whole, or not at all.
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(u128::from_le_bytes(bytes))
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
