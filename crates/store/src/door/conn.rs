//! A socket and the few bytes that are between it and the blocks.

use super::DoorError;
use crate::memory::{Block, Draft};
use smallvec::SmallVec;
use std::{future::Future, io, io::IoSlice, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// Bytes of commands that are held; a parser takes what it can, so that any command fits.
const INPUT: usize = 32 << 10;
/// Bytes that one read takes while commands are awaited: small, so that most of a block's bytes
/// are not here but still in the socket when its length becomes known.
const COMMAND_STEP: usize = 16 << 10;
/// Bytes that one read takes while a block is awaited: they are hashed while they are still in the
/// processor's cache.
const BLOCK_STEP: usize = 256 << 10;
/// Bytes after which other connections of the thread get their turn.
const TURN: usize = 4 << 20;
/// Replies beyond this many bytes are sent before more are made.
const OUTPUT_MAX: usize = 64 << 10;
/// Blocks up to this long are copied behind their header; a call for each would cost more.
const COPIED_MAX: usize = 8 << 10;
/// Slices that one write takes.
const SLICES_MAX: usize = 64;
/// A client that takes or sends nothing for this long in the middle of a command is given up.
const STALL: Duration = Duration::from_secs(60);
/// Bytes a second that it must take or send beyond that: a block's place is not held for ever by one that
/// does so drop by drop.
const SLOWEST: usize = 256 << 10;

/// A connection.
#[derive(Debug)]
pub(crate) struct Conn<S> {
    stream: S,
    input: Box<[u8]>,
    start: usize,
    end: usize,
    /// Replies that are not sent yet.
    pub(crate) output: Vec<u8>,
    shutdown: CancellationToken,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conn<S> {
    pub(crate) fn new(stream: S, shutdown: CancellationToken) -> Self {
        Self {
            stream,
            input: vec![0; INPUT].into_boxed_slice(),
            start: 0,
            end: 0,
            output: Vec::new(),
            shutdown,
        }
    }

    /// Bytes that came and were not taken.
    pub(crate) fn input(&self) -> &[u8] {
        &self.input[self.start..self.end]
    }

    /// The first `count` of them are taken.
    pub(crate) fn take(&mut self, count: usize) {
        self.start += count;
    }

    /// Waits for more, having sent all replies; false at the end of the stream. Between commands
    /// (`idle`) a client may take its time, and the server's end ends the wait.
    pub(crate) async fn fill(&mut self, idle: bool) -> Result<bool, DoorError> {
        self.flush().await?;
        self.input.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let room = (self.end + COMMAND_STEP).min(INPUT);
        let read = self.stream.read(&mut self.input[self.end..room]);
        let count = if idle {
            tokio::select! {
                biased;
                count = read => count?,
                () = self.shutdown.cancelled() => 0,
            }
        } else {
            Patience::with(0).wait(read).await?
        };
        self.end += count;
        Ok(count > 0)
    }

    /// Reads a block into its place.
    pub(crate) async fn receive(&mut self, draft: &mut Draft) -> Result<(), DoorError> {
        let copied = draft.copy_from(&self.input[self.start..self.end]);
        self.take(copied);
        let (patience, mut turn) = (Patience::with(draft.missing()), 0);
        while draft.missing() > 0 {
            let count = patience
                .wait(self.stream.read(draft.room(BLOCK_STEP)))
                .await?;
            if count == 0 {
                return Err(DoorError::Cut);
            }
            draft.advance(count);
            pass(&mut turn, count).await;
        }
        Ok(())
    }

    /// Reads as many bytes as `into` is long.
    pub(crate) async fn read(&mut self, into: &mut [u8]) -> Result<(), DoorError> {
        let here = into.len().min(self.end - self.start);
        into[..here].copy_from_slice(&self.input[self.start..self.start + here]);
        self.take(here);
        let (patience, mut filled) = (Patience::with(into.len()), here);
        while filled < into.len() {
            let count = patience.wait(self.stream.read(&mut into[filled..])).await?;
            if count == 0 {
                return Err(DoorError::Cut);
            }
            filled += count;
        }
        Ok(())
    }

    /// Takes bytes that nobody wants.
    pub(crate) async fn skip(&mut self, mut count: u64) -> Result<(), DoorError> {
        loop {
            let here = (self.end - self.start).min(usize::try_from(count).unwrap_or(usize::MAX));
            self.take(here);
            count -= here as u64;
            if count == 0 {
                return Ok(());
            }
            if !self.fill(false).await? {
                return Err(DoorError::Cut);
            }
        }
    }

    /// Sends what `output` holds if it is much.
    pub(crate) async fn flush_if_much(&mut self) -> Result<(), DoorError> {
        if self.output.len() > OUTPUT_MAX {
            self.flush().await?;
        }
        Ok(())
    }

    /// Sends what `output` holds.
    pub(crate) async fn flush(&mut self) -> Result<(), DoorError> {
        let (patience, mut sent) = (Patience::with(self.output.len()), 0);
        while sent < self.output.len() {
            let count = patience
                .wait(self.stream.write(&self.output[sent..]))
                .await?;
            sent += some(count)?;
        }
        self.output.clear();
        self.output.shrink_to(OUTPUT_MAX);
        // A TLS stream may hold bytes that the socket had no room for.
        let flushed = async { self.stream.flush().await.map(|()| 0) };
        patience.wait(flushed).await.map(drop)
    }

    /// Sends what `output` holds, the block's bytes from `at` up to `end` from where they lie, and
    /// `tail`.
    pub(crate) async fn send(
        &mut self,
        block: &Block,
        (mut at, end): (usize, usize),
        tail: &[u8],
    ) -> Result<(), DoorError> {
        if end - at <= COPIED_MAX {
            for slice in block.slices(at, end) {
                self.output.extend_from_slice(&slice);
            }
            self.output.extend_from_slice(tail);
            return self.flush_if_much().await;
        }
        let (mut head, mut behind, mut turn) = (0, 0, 0);
        let patience = Patience::with(self.output.len() + (end - at) + tail.len());
        while at < end || behind < tail.len() {
            let mut slices: SmallVec<[IoSlice<'_>; 4]> = SmallVec::new();
            let ahead = self.output.get(head..).unwrap_or_default();
            if !ahead.is_empty() {
                slices.push(IoSlice::new(ahead));
            }
            let parts = block.slices(at, end).take(SLICES_MAX);
            let parts_len: usize = parts.map(|part| part.len()).sum();
            slices.extend(block.slices(at, end).take(SLICES_MAX));
            if parts_len == end - at {
                slices.push(IoSlice::new(&tail[behind..]));
            }
            let count = some(patience.wait(self.stream.write_vectored(&slices)).await?)?;
            let of_head = count.min(ahead.len());
            let of_block = (count - of_head).min(parts_len);
            head += of_head;
            at += of_block;
            behind += count - of_head - of_block;
            pass(&mut turn, count).await;
        }
        self.output.clear();
        Ok(())
    }
}

/// Lets other connections have their turn after every [`TURN`] bytes.
async fn pass(turn: &mut usize, count: usize) {
    *turn += count;
    if *turn >= TURN {
        *turn = 0;
        tokio::task::yield_now().await;
    }
}

fn some(count: usize) -> Result<usize, DoorError> {
    match count {
        0 => Err(io::Error::from(io::ErrorKind::WriteZero).into()),
        count => Ok(count),
    }
}

/// How long a client may take for its part.
struct Patience(Instant);

impl Patience {
    /// For so many bytes.
    fn with(bytes: usize) -> Self {
        let slowest = Duration::from_secs((bytes / SLOWEST) as u64);
        Self(Instant::now() + STALL + slowest)
    }

    async fn wait(
        &self,
        step: impl Future<Output = io::Result<usize>>,
    ) -> Result<usize, DoorError> {
        let until = self.0.min(Instant::now() + STALL);
        match tokio::time::timeout_at(until, step).await {
            Ok(done) => Ok(done?),
            Err(_) => Err(DoorError::Stalled),
        }
    }
}
