//! One connection: frames out, frames in, all before a deadline.

use super::{ClientError, stream::Stream, tls::Tls, window};
use crate::native::{HEADER_LEN, Header, Hello, Op, Reader, Status, Table, Welcome};
use onefill_window::Window;
use std::{
    io::{self, IoSlice, Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    sync::Arc,
    time::{Duration, Instant},
};
use twox_hash::XxHash3_128;

/// Bytes that one read takes: they are hashed while they are in the processor's cache.
const STEP: usize = 256 << 10;
/// Slices that one write takes.
const SLICES_MAX: usize = 64;
/// Places in `patience`.
const READS: usize = 0;
const WRITES: usize = 1;

pub(super) struct Connection {
    stream: Stream,
    /// How long reads and writes wait for the socket, as it was told last.
    patience: [Option<Duration>; 2],
    request: u64,
    pub(super) welcome: Welcome,
    /// What came of asking for a window; `None` before.
    window: Option<Option<Arc<Window>>>,
}

/// A reply's header and table.
pub(super) struct Answer {
    pub(super) header: Header,
    pub(super) table: Vec<u8>,
}

impl Connection {
    /// Connects, and says who comes.
    pub(super) fn open(
        (address, tls): (&str, Option<&Tls>),
        hello: &Hello<'_>,
        deadline: Instant,
    ) -> Result<Self, ClientError> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        let mut found = None;
        for resolved in address.to_socket_addrs().map_err(ClientError::Io)? {
            match TcpStream::connect_timeout(&resolved, left(deadline)?) {
                Ok(stream) => {
                    found = Some(stream);
                    break;
                }
                Err(error) => last = error,
            }
        }
        // A connection that takes too long is one that can't be had: the caller rests then.
        let socket = found.ok_or(ClientError::Io(last))?;
        socket.set_nodelay(true)?;
        let stream = Stream::new(socket, address, tls)?;
        let mut connection = Self {
            stream,
            patience: [None; 2],
            request: 0,
            welcome: Welcome {
                items_max: 1,
                payload_max: 0,
            },
            window: None,
        };
        let mut table = Table::default();
        table.hello(hello);
        let header = connection.header(Op::Hello, 0, &table.0);
        connection.send(&header, &table.0, &[], deadline)?;
        let answer = connection.answer(&header, deadline)?;
        let mut reader = Reader::new(&answer.table);
        connection.welcome = reader.welcome()?;
        reader.end()?;
        Ok(connection)
    }

    /// The header of the next request.
    pub(super) fn header(&mut self, op: Op, items: usize, table: &[u8]) -> Header {
        self.request += 1;
        Header::new(op, self.request, items, table)
    }

    /// Whether it was asked for a window already.
    pub(super) fn has_asked(&self) -> bool {
        self.window.is_some()
    }

    /// The window, which is asked for at first; `None` if the store is elsewhere or gives none.
    pub(super) fn window(
        &mut self,
        bytes: usize,
        deadline: Instant,
    ) -> Result<Option<Arc<Window>>, ClientError> {
        if let Some(known) = &self.window {
            return Ok(known.clone());
        }
        let window = window::ask(self, bytes, deadline)?.map(Arc::new);
        self.window = Some(window.clone());
        Ok(window)
    }

    /// Sends a frame without blocks.
    pub(super) fn tell(
        &mut self,
        header: &Header,
        table: &[u8],
        deadline: Instant,
    ) -> Result<(), ClientError> {
        self.send(header, table, &[], deadline)
    }

    /// Sends a request.
    pub(super) fn send(
        &mut self,
        header: &Header,
        table: &[u8],
        blocks: &[&[u8]],
        deadline: Instant,
    ) -> Result<(), ClientError> {
        let mut header = *header;
        let wait = left(deadline)?.as_millis();
        header.deadline_ms = u32::try_from(wait).unwrap_or(u32::MAX).max(1);
        let head = header.encode();
        let ahead = [head.as_slice(), table];
        let parts = ahead.iter().chain(blocks);
        let mut slices: Vec<IoSlice<'_>> = parts.map(|part| IoSlice::new(part)).collect();
        let mut slices = slices.as_mut_slice();
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            self.wait_for(WRITES, deadline)?;
            let some = &slices[..slices.len().min(SLICES_MAX)];
            match self.stream.write_vectored(some) {
                Ok(0) => return Err(ClientError::Io(io::ErrorKind::WriteZero.into())),
                Ok(count) => IoSlice::advance_slices(&mut slices, count),
                Err(error) if is_no_end(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        loop {
            match self.stream.flush() {
                Ok(()) => return Ok(()),
                Err(error) if is_no_end(&error) => self.wait_for(WRITES, deadline)?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads the answer's header and table; blocks may follow.
    pub(super) fn answer(
        &mut self,
        asked: &Header,
        deadline: Instant,
    ) -> Result<Answer, ClientError> {
        let answer = self.frame(deadline)?;
        if (answer.header.op, answer.header.request) != (asked.op, asked.request) {
            return Err(ClientError::OutOfStep);
        }
        Ok(answer)
    }

    /// Reads a frame's header and table, whichever it is.
    pub(super) fn frame(&mut self, deadline: Instant) -> Result<Answer, ClientError> {
        let mut head = [0; HEADER_LEN];
        self.read(&mut head, deadline)?;
        let header = Header::parse(&head)?;
        let mut table = vec![0; header.table as usize];
        self.read(&mut table, deadline)?;
        header.check(&table)?;
        if header.status == Status::Late {
            return Err(ClientError::Late);
        }
        if header.status != Status::Ok {
            return Err(ClientError::Refused {
                status: header.status,
                sentence: String::from_utf8_lossy(&table).into_owned(),
            });
        }
        Ok(Answer { header, table })
    }

    /// Reads a block into its place; its xxh3-128.
    pub(super) fn block(
        &mut self,
        into: &mut [u8],
        deadline: Instant,
    ) -> Result<u128, ClientError> {
        let mut hasher = XxHash3_128::new();
        for part in into.chunks_mut(STEP) {
            self.read(part, deadline)?;
            hasher.write(part);
        }
        Ok(hasher.finish_128())
    }

    fn read(&mut self, mut into: &mut [u8], deadline: Instant) -> Result<(), ClientError> {
        while !into.is_empty() {
            self.wait_for(READS, deadline)?;
            match self.stream.read(into) {
                Ok(0) => return Err(ClientError::Io(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => into = &mut into[count..],
                Err(error) if is_no_end(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Tells the socket to wait until about the deadline. It is told again only when that has become an
    /// eighth too long or too short: a call is of many reads, and most are over at once.
    fn wait_for(&mut self, what: usize, deadline: Instant) -> Result<(), ClientError> {
        let left = left(deadline)?;
        let told = self.patience[what].unwrap_or_default();
        if told >= left * 7 / 8 && told <= left * 9 / 8 {
            return Ok(());
        }
        match what {
            READS => self.stream.socket().set_read_timeout(Some(left))?,
            _ => self.stream.socket().set_write_timeout(Some(left))?,
        }
        self.patience[what] = Some(left);
        Ok(())
    }
}

/// Whether it may go on, if there is time left: it was woken early, or waited as long as it was told to.
fn is_no_end(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    // A socket's time-out is the one or the other, by system.
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

/// Time that is left; none is [`ClientError::Late`].
pub(super) fn left(deadline: Instant) -> Result<Duration, ClientError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(ClientError::Late)
    } else {
        Ok(left)
    }
}
