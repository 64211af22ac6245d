//! Who may write where in a window, and when: one machine for each end.
//!
//! The window is a ring. The sender fills it from the start on, a piece at a time, and never has more in
//! it than it holds; the taker gives credit for what it has copied out.

use super::NativeError;

/// Smallest window that is worth its pieces.
pub const WINDOW_MIN: usize = 64 << 10;
/// Largest window. More would only leave the processor's cache.
pub const WINDOW_MAX: usize = 64 << 20;
/// Pieces that a full window holds at least: while one is copied in, another is copied out.
const PIECES: usize = 4;
/// Longest piece: both ends have it in the processor's cache. Half as long ones cost a tenth more time.
const PIECE_MAX: usize = 1 << 20;
/// Credit is given for this part of a window at once, so that few messages say it.
const CREDITS: u64 = 4;

/// Whether a window may have so many bytes.
#[must_use]
pub fn is_window(bytes: usize) -> bool {
    (WINDOW_MIN..=WINDOW_MAX).contains(&bytes)
}

/// The end that writes into the window.
#[derive(Debug)]
pub struct Sender {
    window: usize,
    sent: u64,
    taken: u64,
}

/// The end that copies out of it.
#[derive(Debug)]
pub struct Taker {
    window: usize,
    taken: u64,
    credited: u64,
}

/// Where the byte of this number lies.
fn place(number: u64, window: usize) -> usize {
    usize::try_from(number % window as u64).unwrap_or(0)
}

impl Sender {
    /// For a request, at the window's start.
    #[must_use]
    pub fn new(window: usize) -> Self {
        Self {
            window,
            sent: 0,
            taken: 0,
        }
    }

    /// Where the next piece goes, and its length, of `rest` bytes that are left of the block; `None`
    /// before more credit has come.
    #[must_use]
    pub fn place(&self, rest: usize) -> Option<(usize, usize)> {
        let at = place(self.sent, self.window);
        let most = (self.window / PIECES).min(PIECE_MAX).min(self.window - at);
        let len = rest.min(most);
        let free = self.window as u64 - (self.sent - self.taken);
        (len as u64 <= free).then_some((at, len))
    }

    /// A piece of this length was written and told.
    pub fn wrote(&mut self, len: usize) {
        self.sent += len as u64;
    }

    /// Credit came.
    ///
    /// # Errors
    /// It is for more than was sent.
    pub fn credit(&mut self, bytes: u64) -> Result<(), NativeError> {
        if bytes > self.sent - self.taken {
            return Err(NativeError::Window);
        }
        self.taken += bytes;
        Ok(())
    }

    /// Whether all that was sent has been taken.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.sent == self.taken
    }
}

impl Taker {
    /// For a request, at the window's start.
    #[must_use]
    pub fn new(window: usize) -> Self {
        Self {
            window,
            taken: 0,
            credited: 0,
        }
    }

    /// Where a piece that was told lies and how long it is; `missing` bytes of the block are still to come.
    ///
    /// # Errors
    /// It can't lie there, or is longer than what is missing.
    pub fn place(&self, told: u64, missing: usize) -> Result<(usize, usize), NativeError> {
        let at = place(self.taken, self.window);
        let len = usize::try_from(told).map_err(|_| NativeError::Window)?;
        if len > missing || len > self.window - at {
            return Err(NativeError::Window);
        }
        Ok((at, len))
    }

    /// A piece of this length was copied out, or passed over.
    pub fn took(&mut self, len: usize) {
        self.taken += len as u64;
    }

    /// Credit that is to be told now, if it is enough to be worth a message.
    pub fn credit(&mut self) -> Option<u64> {
        let owed = self.taken - self.credited;
        if owed < self.window as u64 / CREDITS {
            return None;
        }
        self.rest()
    }

    /// All credit that is not told yet.
    pub fn rest(&mut self) -> Option<u64> {
        let owed = self.taken - self.credited;
        self.credited = self.taken;
        (owed > 0).then_some(owed)
    }
}
