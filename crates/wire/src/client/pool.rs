//! Calls.

use super::{ClientError, breaker::Breaker, connection::Connection};
use crate::native::{
    GetItem, Header, Hello, ITEMS_MAX, LEASE, Op, PutItem, Reader, Table, Verdict,
};
use parking_lot::Mutex;
use std::time::{Duration, Instant};
use twox_hash::XxHash3_128;

/// Bytes of blocks that one frame carries; a batch of more is several frames.
const FRAME_BYTES: u64 = 64 << 20;

/// How a store is reached.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// `HOST:PORT`.
    pub address: String,
    /// Where the keys are.
    pub namespace: String,
    /// What proves who comes; empty where nobody asks.
    pub token: String,
    /// Longest time for a connection to come about.
    pub connect_timeout: Duration,
    /// Connections that are kept for the next call.
    pub idle_max: usize,
}

/// See the module above.
pub struct Client {
    config: ClientConfig,
    idle: Mutex<Vec<Connection>>,
    breaker: Mutex<Breaker>,
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
        }
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
            let got = self.call(deadline, |connection| get(connection, part, deadline))?;
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
            let put = self.call(deadline, |connection| put(connection, part, deadline))?;
            verdicts.extend(put);
        }
        Ok(verdicts)
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
                verdicts(connection, &header, deadline)
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
        let opened = Connection::open(&self.config.address, &hello, deadline);
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

fn get(
    connection: &mut Connection,
    blocks: &mut [GetBlock<'_>],
    deadline: Instant,
) -> Result<Vec<Verdict>, ClientError> {
    let mut table = Table::default();
    for block in &*blocks {
        table.get(&GetItem {
            key: block.key,
            size: block.into.len() as u64,
        });
    }
    let header = connection.header(Op::Get, blocks.len(), &table.0);
    connection.send(&header, &table.0, &[], deadline)?;
    let answer = connection.answer(&header, deadline)?;
    let mut reader = Reader::new(&answer.table);
    let replies: Result<Vec<_>, _> = blocks.iter().map(|_| reader.got()).collect();
    let replies = replies?;
    reader.end()?;
    let mut verdicts = Vec::with_capacity(blocks.len());
    for (block, reply) in blocks.iter_mut().zip(replies) {
        let mut verdict = reply.verdict;
        if verdict == Verdict::Done {
            if reply.size != block.into.len() as u64 {
                return Err(ClientError::OutOfStep);
            }
            let sum = connection.block(block.into, deadline)?;
            if sum != reply.sum {
                verdict = Verdict::Corrupt;
            }
        }
        verdicts.push(verdict);
    }
    Ok(verdicts)
}

fn put(
    connection: &mut Connection,
    blocks: &[PutBlock<'_>],
    deadline: Instant,
) -> Result<Vec<Verdict>, ClientError> {
    let mut table = Table::default();
    for block in blocks {
        table.put(&PutItem {
            key: block.key,
            parent: block.parent,
            size: block.bytes.len() as u64,
            sum: XxHash3_128::oneshot(block.bytes),
            ttl_ms: block.ttl_ms,
            only_new: block.only_new,
        });
    }
    let mut header = connection.header(Op::Put, blocks.len(), &table.0);
    let bytes: Vec<&[u8]> = blocks.iter().map(|block| block.bytes).collect();
    header.payload = bytes.iter().map(|bytes| bytes.len() as u64).sum();
    connection.send(&header, &table.0, &bytes, deadline)?;
    let verdicts = verdicts(connection, &header, deadline)?;
    Ok(verdicts.into_iter().map(|(verdict, _)| verdict).collect())
}

/// Reads an answer of verdicts, one for each item of the request.
fn verdicts(
    connection: &mut Connection,
    header: &Header,
    deadline: Instant,
) -> Result<Vec<(Verdict, u64)>, ClientError> {
    let answer = connection.answer(header, deadline)?;
    if answer.header.items != header.items {
        return Err(ClientError::OutOfStep);
    }
    let mut reader = Reader::new(&answer.table);
    let verdicts: Result<Vec<_>, _> = (0..header.items).map(|_| reader.verdict()).collect();
    reader.end()?;
    Ok(verdicts?)
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
