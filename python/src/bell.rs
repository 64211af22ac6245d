//! An eventfd that is readable while there is something to poll.

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    fd::{AsRawFd as _, OwnedFd},
    io::{read, write},
};
use std::{io, time::Duration};

pub struct Bell(OwnedFd);

impl Bell {
    pub fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self(eventfd(0, flags)?))
    }

    pub fn ring(&self) {
        // It can only fail when it was rung 2^64 - 2 times: then it is readable anyway.
        write(&self.0, &1_u64.to_ne_bytes()).ok();
    }

    pub fn silence(&self) {
        // Not rung: nothing to read.
        read(&self.0, &mut [0; 8]).ok();
    }

    /// Until it rings, or the time is over.
    pub fn wait(&self, time: Duration) {
        let time = Timespec::try_from(time).ok();
        // Interrupted by a signal counts as a ring: the caller looks, and waits again.
        let mut bell = [PollFd::new(&self.0, PollFlags::IN)];
        poll(&mut bell, time.as_ref()).ok();
    }

    pub fn number(&self) -> i32 {
        self.0.as_raw_fd()
    }
}
