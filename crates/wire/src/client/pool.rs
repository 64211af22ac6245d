//! Calls.

use super::{ClientError, breaker::Breaker, connection::Connection, tls::Tls, transfer};
use crate::native::{Hello, ITEMS_MAX, LEASE, Op, Table, Verdict};
use onefill_window::Window;
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Bytes of blocks that one frame carries; a batch of more is several frames.
const FRAME_BYTES: u64 = 64 << 20;

/// Bytes of a window, where nothing else is wanted: what is in it stays in the processor's cache, and it
/// is large enough that neither end waits often.
pub const WINDOW_BYTES: usize = 4 << 20;

/// How a store is reached.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// `HOST:PORT`.
    pub address: String,
    /// Where the keys are.
    pub namespace: String,
    /// What proves who comes; empty where nobody asks.
    pub token: String,
    /// Blocks and words travel over TLS, where this is set.
    pub tls: Option<Tls>,
    /// Longest time for a connection to come about.
    pub connect_timeout: Duration,
    /// Connections that are kept for the next call.
    pub idle_max: usize,
    /// Bytes of memory that each connection shares with a store on this machine, if that gives it, instead
    /// of sending blocks through its socket ([`WINDOW_BYTES`]); 0: none.
    pub window_bytes: usize,
}

/// See the module above.
pub struct Client {
    config: ClientConfig,
    idle: Mutex<Vec<Connection>>,
    breaker: Mutex<Breaker>,
    windows: AtomicUsize,
}

/// A block to get, and where to.
#[derive(Debug)]
pub struct GetBlock<'b> {
    /// Its key.
    pub key: &'b [u8],
    /// As long as the block; a block of another size is not sent.
    pub into: &'b mut [u8],
}

/// A block to put.
#[derive(Clone, Copy, Debug)]
pub struct PutBlock<'b> {
    /// Its key.
    pub key: &'b [u8],
    /// Key of the block before it in its chain; empty: none.
    pub parent: &'b [u8],
    /// Its bytes.
    pub bytes: &'b [u8],
    /// How long it shall live; 0: without end.
    pub ttl_ms: u32,
    /// Whether a block that is there stays.
    pub only_new: bool,
}

impl Client {
    /// A client; nothing is connected yet.
    #[must_use]
    pub fn new(config: ClientConfig) -> Self {
        Self {
            config,
            idle: Mutex::default(),
            breaker: Mutex::default(),
            windows: AtomicUsize::new(0),
        }
    }

    /// Windows that were opened so far; 0: all bytes went through sockets.
    pub fn windows(&self) -> usize {
        self.windows.load(Ordering::Relaxed)
    }

    /// The sizes of the blocks that are there. With `lease` they stay readable for a while.
    pub fn exists(
        &self,
        keys: &[&[u8]],
        lease: bool,
        wait: Duration,
    ) -> Result<Vec<Option<u64>>, ClientError> {
        let flags = if lease { LEASE } else { 0 };
        self.about(Op::Exists, keys, flags, wait)
    }

    /// They are used: they go later. The sizes of those that are there.
    pub fn touch(&self, keys: &[&[u8]], wait: Duration) -> Result<Vec<Option<u64>>, ClientError> {
        self.about(Op::Touch, keys, 0, wait)
    }

    /// They stay until [`Self::unpin`]. The sizes of those that are there.
    pub fn pin(&self, keys: &[&[u8]], wait: Duration) -> Result<Vec<Option<u64>>, ClientError> {
        self.about(Op::Pin, keys, 0, wait)
    }

    /// They may go again. The sizes of those that are there.
    pub fn unpin(&self, keys: &[&[u8]], wait: Duration) -> Result<Vec<Option<u64>>, ClientError> {
        self.about(Op::Unpin, keys, 0, wait)
    }

    /// What [`Self::exists`] promised is not wanted. The sizes of those that are there.
    pub fn release(&self, keys: &[&[u8]], wait: Duration) -> Result<Vec<Option<u64>>, ClientError> {
        self.about(Op::Release, keys, 0, wait)
    }

    /// They shall go. The sizes of those that were there.
    pub fn delete(&self, keys: &[&[u8]], wait: Duration) -> Result<Vec<Option<u64>>, ClientError> {
        self.about(Op::Delete, keys, 0, wait)
    }

    /// Gets blocks into their places; what came of each. A place without [`Verdict::Done`] may
    /// hold anything.
    pub fn get(
        &self,
        blocks: &mut [GetBlock<'_>],
        wait: Duration,
    ) -> Result<Vec<Verdict>, ClientError> {
        let deadline = Instant::now() + wait;
        let mut verdicts = Vec::with_capacity(blocks.len());
        let sizes: Vec<u64> = blocks.iter().map(|block| block.into.len() as u64).collect();
        for (from, to) in frames(&sizes) {
            let part = &mut blocks[from..to];
            let got = self.call(deadline, |connection| {
                let window = self.window(connection, &sizes[from..to], deadline)?;
                transfer::get(connection, window.as_deref(), part, deadline)
            })?;
            verdicts.extend(got);
        }
        Ok(verdicts)
    }

    /// Puts blocks; what came of each.
    pub fn put(
        &self,
        blocks: &[PutBlock<'_>],
        wait: Duration,
    ) -> Result<Vec<Verdict>, ClientError> {
        let deadline = Instant::now() + wait;
        let mut verdicts = Vec::with_capacity(blocks.len());
        let sizes: Vec<u64> = blocks
            .iter()
            .map(|block| block.bytes.len() as u64)
            .collect();
        for (from, to) in frames(&sizes) {
            let part = &blocks[from..to];
            let put = self.call(deadline, |connection| {
                let window = self.window(connection, &sizes[from..to], deadline)?;
                transfer::put(connection, window.as_deref(), part, deadline)
            })?;
            verdicts.extend(put);
        }
        Ok(verdicts)
    }

    /// The connection's window, if it is worth while for blocks of these sizes.
    fn window(
        &self,
        connection: &mut Connection,
        sizes: &[u64],
        deadline: Instant,
    ) -> Result<Option<Arc<Window>>, ClientError> {
        if self.config.window_bytes == 0 || !transfer::is_much(sizes) {
            return Ok(None);
        }
        let is_new = !connection.has_asked();
        let window = connection.window(self.config.window_bytes, deadline)?;
        if window.is_some() && is_new {
            self.windows.fetch_add(1, Ordering::Relaxed);
        }
        Ok(window)
    }

    fn about(
        &self,
        op: Op,
        keys: &[&[u8]],
        flags: u8,
        wait: Duration,
    ) -> Result<Vec<Option<u64>>, ClientError> {
        let deadline = Instant::now() + wait;
        let mut found = Vec::with_capacity(keys.len());
        for part in keys.chunks(ITEMS_MAX) {
            let mut table = Table::default();
            for key in part {
                table.key(key);
            }
            let verdicts = self.call(deadline, |connection| {
                let mut header = connection.header(op, part.len(), &table.0);
                header.flags = flags;
                connection.send(&header, &table.0, &[], deadline)?;
                let answer = connection.answer(&header, deadline)?;
                transfer::verdicts(&answer, &header)
            })?;
            let size = |(verdict, size)| (verdict == Verdict::Done).then_some(size);
            found.extend(verdicts.into_iter().map(size));
        }
        Ok(found)
    }

    /// Makes a call on a connection, which is kept if all went well.
    fn call<T>(
        &self,
        deadline: Instant,
        mut step: impl FnMut(&mut Connection) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        loop {
            let idle = self.idle.lock().pop();
            let is_old = idle.is_some();
            let mut connection = match idle {
                Some(connection) => connection,
                None => self.open(deadline)?,
            };
            match step(&mut connection) {
                Ok(done) => {
                    let mut idle = self.idle.lock();
                    if idle.len() < self.config.idle_max {
                        idle.push(connection);
                    }
                    return Ok(done);
                }
                // The store was started again since: all idle connections are of the old one. Each
                // turn takes one of them, so this ends.
                Err(error) if is_old && error.is_stale() => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn open(&self, deadline: Instant) -> Result<Connection, ClientError> {
        let now = Instant::now();
        if !self.breaker.lock().may_try(now) {
            return Err(ClientError::Resting);
        }
        let hello = Hello {
            namespace: self.config.namespace.as_bytes(),
            token: self.config.token.as_bytes(),
        };
        let deadline = deadline.min(now + self.config.connect_timeout);
        let place = (self.config.address.as_str(), self.config.tls.as_ref());
        let opened = Connection::open(place, &hello, deadline);
        let mut breaker = self.breaker.lock();
        match &opened {
            Ok(_) => breaker.reached(),
            Err(_) => breaker.failed(Instant::now()),
        }
        opened
    }
}

/// Cuts a batch into frames: from, to.
fn frames(sizes: &[u64]) -> Vec<(usize, usize)> {
    let mut frames = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (index, size) in sizes.iter().enumerate() {
        if index > from && (bytes + size > FRAME_BYTES || index - from == ITEMS_MAX) {
            frames.push((from, index));
            (from, bytes) = (index, 0);
        }
        bytes += size;
    }
    if from < sizes.len() {
        frames.push((from, sizes.len()));
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_cut_by_bytes_and_by_items() {
        assert_eq!(frames(&[]), []);
        assert_eq!(frames(&[1, 2, 3]), [(0, 3)]);
        let big = FRAME_BYTES / 2;
        assert_eq!(frames(&[big, big, big]), [(0, 2), (2, 3)]);
        assert_eq!(frames(&[FRAME_BYTES * 3, 1]), [(0, 1), (1, 2)]);
        let many = vec![1; ITEMS_MAX + 1];
        assert_eq!(frames(&many), [(0, ITEMS_MAX), (ITEMS_MAX, ITEMS_MAX + 1)]);
    }
}
